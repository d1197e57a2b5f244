"""What becomes of Ultralytics' bars, tables and colours."""

from __future__ import annotations

import io
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest
from ultralytics.utils import LOGGER, TQDM, colorstr

from progressive.hosts.ultralytics.terminal import Terminal, heard


@contextmanager
def log_file(monkeypatch):
    """Let what is printed and logged go to a file."""
    (handler,) = [h for h in LOGGER.handlers if h.name == "ultralytics.utils.set_logging"]
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with redirect_stdout(io.StringIO()) as stream:
        monkeypatch.setattr(handler, "stream", stream)
        yield stream


def test_a_log_file_gets_a_bar_once(monkeypatch):
    with log_file(monkeypatch) as file:
        with heard("full"):
            for _ in TQDM(range(30), desc=colorstr("Scanning"), mininterval=0):
                pass
            LOGGER.info(colorstr("red", "done"))
        before = file.getvalue()
        LOGGER.info(colorstr("red", "after"))
    bar, done = before.splitlines()
    assert bar.startswith("Scanning: 100%")
    assert done == "done"
    assert not {"\r", "\033"} & set(before)
    assert "\033" in file.getvalue()  # everything is as before


def test_a_log_file_gets_no_bar_and_no_table_within_an_epoch(monkeypatch):
    with log_file(monkeypatch) as file:
        terminal = Terminal("full")
        undo = terminal.start()
        terminal.start_epoch()
        for _ in TQDM(range(3)):
            pass
        LOGGER.handle(LOGGER.makeRecord("", 20, "engine/trainer.py", 1, "table", (), None))
        LOGGER.info("from elsewhere")
        undo()
    assert file.getvalue() == "from elsewhere\n"


@pytest.mark.parametrize("log", ["quiet", "json"])
def test_quiet_leaves_warnings(log, monkeypatch):
    with log_file(monkeypatch) as file, redirect_stderr(io.StringIO()) as errors:
        with heard(log):
            for _ in TQDM(range(3)):
                pass
            LOGGER.info("a table")
            LOGGER.warning("mind this")
            print("from a library")
        said = file.getvalue()
        LOGGER.info("again")
    heard_of = errors.getvalue() if log == "json" else said
    assert "mind this" in heard_of
    assert "from a library" in heard_of
    assert "a table" not in heard_of
    assert log != "json" or said == ""
    assert file.getvalue().endswith("again\n")
