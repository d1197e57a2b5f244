"""Colours on terminals only, and one line of JSON for an event."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from progressive import console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "variables", "coloured"),
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"NO_COLOR": ""}, True),  # as no-color.org says
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
)
def test_colours_are_for_terminals(monkeypatch, stream, variables, coloured):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", stream())
    assert (console.paint("text", console.BOLD) != "text") is coloured


def test_an_event_is_valid_json_on_a_line(capsys):
    console.emit("epoch", losses={"box": float("nan")}, sizes=(1, 2), text="a\nb")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line, parse_constant=pytest.fail) == {
        "event": "epoch",
        "losses": {"box": None},
        "sizes": [1, 2],
        "text": "a\nb",
    }


def test_a_reader_that_goes_away_ends_nothing():
    code = (
        "import time; from progressive import console\n"
        "for n in range(200): console.emit('epoch', n=n, text='x' * 1000)\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe) as writer:
        writer.stdout.readline()
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 0
