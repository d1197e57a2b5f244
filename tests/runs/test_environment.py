from __future__ import annotations

import json
import platform

import pytest

from progressive.runs.environment import command_line, environment


def test_environment_names_what_a_run_ran_on():
    found = environment(seed=3, cores=2, gpus=["a GPU"], command=None)
    assert found["python"] == platform.python_version()
    assert set(found["packages"]) == {
        "progressive", "torch", "ultralytics", "timm", "albumentations"
    }  # fmt: skip
    assert found["packages"]["torch"].startswith("2.")
    assert (found["seed"], found["gpus"], found["command"]) == (3, ["a GPU"], None)
    assert found["cores"] == 2
    assert found["processor"]
    json.dumps(found)


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (["/usr/bin/python3", "-m", "progressive.run", "epochs=3"],
         "python -m progressive.run epochs=3"),
        (["python", "-W", "error", "-m", "progressive.run", "data=a b"],
         "python -m progressive.run 'data=a b'"),
        (["/venv/bin/python", "/venv/bin/progressive", "seed=1"], "progressive seed=1"),
        (["python", "-m", "progressive.compare", "seeds=3"], None),
        (["python", "train.py"], None),
        (["python", "-m", "pytest", "progressive"], None),
        (["python", "-c", "import x"], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_command_is_that_of_our_command_line(given, command):
    assert command_line(given) == command
