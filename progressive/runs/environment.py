"""What a run ran on and how to run it again: versions, processor, seed, command."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

ENVIRONMENT = "environment.json"

#: What trains the arms of a comparison that `progressive.run` does not.
OTHER_TRAINERS = "progressive.comparison.train"

#: Modules whose command line is kept.
COMMANDS = ("progressive.run", OTHER_TRAINERS)

#: Packages that a training depends on, by the name they are installed under.
PACKAGES = {
    "progressive": "progressive-learning",
    "torch": "torch",
    "ultralytics": "ultralytics",
    "timm": "timm",
    "albumentations": "albumentations",
}


def environment(
    *, seed: int | None, cores: int, gpus: Sequence[str], command: str | None
) -> dict[str, Any]:
    """Return what is written to `environment.json`.

    Args:
        seed: of the training.
        cores: that it may use.
        gpus: their names, one for each that is used.
        command: that started the training, None if it was a program of the user's own.
    """
    return {
        "python": platform.python_version(),
        "packages": {name: _version(package) for name, package in PACKAGES.items()},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": cores,
        "gpus": list(gpus),
        "seed": seed,
        "command": command,
    }


def command_line(arguments: Sequence[str] | None = None) -> str | None:
    """Return the command of this process if it is one of `COMMANDS` or `progressive`.

    Args:
        arguments: of the process, the interpreter's included; None for those of this one.
    """
    given = list(sys.orig_argv if arguments is None else arguments)
    if "-m" in given:
        rest = given[given.index("-m") + 1 :]
        if rest and rest[0] in COMMANDS:
            return shlex.join(["python", "-m", *rest])
        return None
    for place, word in enumerate(given[:2]):  # a script is started by itself or by an interpreter
        if Path(word).name in {"progressive", "progressive.exe"}:
            return shlex.join(["progressive", *given[place + 1 :]])
    return None


def processor() -> str:
    """Return the name of the processor as its maker writes it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
