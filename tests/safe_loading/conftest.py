"""What would leave a mark if it were executed, and the command line in this process."""

from __future__ import annotations

import os
import pickle
import sys

import pytest

from progressive.config.command_line import run_with_hydra
from progressive.run import run


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def mark(tmp_path):
    """The folder that each payload makes."""
    return tmp_path / "mark"


@pytest.fixture
def payloads(mark):
    """Objects whose pickle makes the folder `mark`, each in another way."""
    code = f"__import__('os').mkdir({str(mark)!r})"
    return {
        "mkdir": Call(os.mkdir, str(mark)),
        "shell": Call(os.system, f"mkdir {mark}"),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "import": Call(__import__, "this_is_imported"),
        "getattr": Call(getattr, os, "mkdir"),
        "unpickle": Call(pickle.loads, pickle.dumps(Call(os.mkdir, str(mark)))),
    }


@pytest.fixture
def progressive(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command line from an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["progressive", *map(str, arguments)])
        capsys.readouterr()
        try:
            run_with_hydra(run)
        except SystemExit as end:
            code = end.code
        else:
            code = 0
        said = capsys.readouterr()
        return code, said.out, said.err

    return command
