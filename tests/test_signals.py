"""Signals end a command in one line and with a documented code, whenever they come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}

#: Takes signals, says so, and waits; deferred if there is an argument.
TAKER = """
import sys, time
from progressive.signals import Interruption, exit_code
taken = Interruption()
taken.install()
if sys.argv[1:]:
    taken.defer()
print("ready", flush=True)
for _ in range(600):
    time.sleep(0.05)
    if taken.asked and sys.argv[1] == "leave":
        raise SystemExit(exit_code(taken.asked))
"""

#: The same, with a child that a loader might have forked; prints how the child ends.
FORKER = """
import os, signal, sys, time
from progressive.signals import Interruption
Interruption().install()
child = os.fork()
if not child:
    time.sleep(1)
    os._exit(0)
time.sleep(0.3)
os.kill(child, int(sys.argv[1]))
print(os.waitpid(child, 0)[1], flush=True)
"""


def started(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", TAKER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", CODES)
def test_one_line_and_a_code(number):
    process = started()
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == CODES[number]
    assert len(said.strip().splitlines()) == 1
    assert "Nothing was saved yet." in said


@pytest.mark.parametrize("number", CODES)
def test_a_deferred_signal_is_for_the_training_to_answer(number):
    process = started("leave")
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == CODES[number]
    assert "finishing the batch" in said


def test_a_second_interrupt_ends_at_once():
    process = started("stay")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)  # as a scheduler may; the batch is still being finished
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_loader_processes_serve_the_last_batch(number):
    done = subprocess.run(
        [sys.executable, "-c", FORKER, str(int(number))], capture_output=True, text=True
    )
    assert done.stdout == "0\n", done.stderr


MODULES = ("run", "compare", "report", "detectors", "gradients", "comparison.train")


@pytest.mark.parametrize("module", ["__main__", *MODULES])
def test_interrupted_while_modules_are_loaded(module, tmp_path):
    # A module that takes for ever, as torch takes seconds: the first that is imported after ours.
    slow = "import time, sys\nprint('loading', flush=True)\ntime.sleep(60)\n"
    for name in ("pydantic", "yaml", "hydra", "argparse", "torch", "typing_extensions"):
        (tmp_path / f"{name}.py").write_text(slow)
    package = "progressive" if module == "__main__" else f"progressive.{module}"
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", package, "--size", "320", "x"],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "loading\n", process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert (process.returncode, said.strip()) == (130, "Interrupted. Nothing was saved yet.")
