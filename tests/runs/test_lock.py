"""One run, one folder: who has it, and that the dead have nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from progressive.errors import ConfigError
from progressive.runs.folders import check_output, claim, find_run
from progressive.runs.lock import LOCK, locked, refuse_if_locked

#: Takes the lock of a folder, forks as a loader does, says so and stays.
HOLDER = """
import os, sys, time
from pathlib import Path
from progressive.runs.lock import locked
with locked(Path(sys.argv[1]), "output=x"):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """A process that has the lock of `tmp_path`, and its forked child."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE)
    child = int(process.stdout.readline())
    yield process
    os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate()


def test_the_message_names_process_and_host(tmp_path, other):
    expected = rf"output=y: .* is in use by process {other.pid} on {socket.gethostname()}, since"
    with pytest.raises(ConfigError, match=expected), locked(tmp_path, "output=y"):
        pass
    with pytest.raises(ConfigError, match=expected):
        refuse_if_locked(tmp_path, "output=y")


def test_a_run_that_is_alive_is_neither_resumed_nor_overwritten(tmp_path, other):
    with pytest.raises(ConfigError, match=r"output=.* is in use by process"):
        check_output(str(tmp_path))
    with pytest.raises(ConfigError, match=r"output=.* is in use by process"), claim(str(tmp_path)):
        pass
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "last.pt").touch()
    (tmp_path / "config.yaml").touch()
    with pytest.raises(ConfigError, match=r"resume=.* is in use by process"):
        find_run(str(tmp_path))


def test_the_lock_of_a_dead_process_does_not_block(tmp_path, other):
    other.kill()
    other.wait()  # its forked child lives on
    refuse_if_locked(tmp_path, "output=y")
    with locked(tmp_path, "output=y"):
        pass


def test_nothing_is_left_behind(tmp_path):
    with locked(tmp_path, "output=x"):
        assert f"process {os.getpid()} on" in (tmp_path / LOCK).read_text()
        with pytest.raises(ConfigError, match="in use"), locked(tmp_path, "output=x"):
            pass
        with pytest.raises(ConfigError, match="in use"):
            refuse_if_locked(tmp_path, "output=x")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_goes_when_a_run_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path, "output=x"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path, "output=x"):
        pass


def test_asking_writes_nothing(tmp_path):
    refuse_if_locked(tmp_path, "output=x")
    refuse_if_locked(tmp_path / "nothing", "output=x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    denied = pytest.raises(ConfigError, match=r"output=x: .*file.*: Not a directory")
    with denied, locked(tmp_path / "file", "output=x"):
        pass
