"""Run folders: a fresh one for every run, found again to resume."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from progressive.errors import ConfigError
from progressive.runs import checkpoints
from progressive.runs.lock import locked, refuse_if_locked


@contextmanager
def claim(output: str | None) -> Iterator[Path]:
    """Create the run folder and hold it for this process; gives its absolute path.

    Args:
        output: the folder itself, which must be new or empty; None takes a fresh one under
            `runs/`, which two runs started in the same second never share.

    Raises:
        ConfigError: when `output` is in use or cannot be made.
    """
    if output is None:
        folder = _fresh(Path("runs").resolve(), time.strftime("%Y-%m-%d_%H-%M-%S"))
        with locked(folder, "output=null"):
            yield folder
        return
    folder = Path(output).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output={output}: {error.strerror or error}") from None
    with locked(folder, f"output={output}"):
        _check_empty(output)  # again, since another run may just have ended in it
        yield folder


def check_output(output: str | None) -> None:
    """Raise ConfigError if a run cannot have the folder `output`; write nothing."""
    if output is not None:
        refuse_if_locked(Path(output).expanduser().resolve(), f"output={output}")
    _check_empty(output)


def _check_empty(output: str | None) -> None:
    folder = Path(output or "runs").expanduser().resolve()
    try:
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        if not existing.is_dir():
            raise ConfigError(f"output={output}: {existing} is no folder")
        if output is not None and folder.is_dir() and not _is_empty(folder):
            raise ConfigError(
                f"output={output}: is not empty; name a new folder, or continue it with "
                f"resume={output}"
            )
    except OSError as error:
        raise ConfigError(f"output={output}: {error.strerror or error}") from None


def newest_unfinished(parent: Path) -> Path:
    """Return the run under `parent` that was at work last and is not finished.

    Raises:
        ConfigError: there is none, or all of them are still at work.
    """
    patterns = (f"{place}/{checkpoints.CHECKPOINTS}" for place in ("*", "*/*", "*/*/*"))
    folders = {found.parent for pattern in patterns for found in parent.glob(pattern)}
    begun = [f for f in folders if checkpoints.exists(f) and not (f / "summary.json").exists()]
    begun.sort(key=lambda folder: (folder / checkpoints.CHECKPOINTS).stat().st_mtime, reverse=True)
    busy = None
    for folder in begun:
        try:
            refuse_if_locked(folder, "resume=true")
        except ConfigError as error:
            busy = busy or error
        else:
            return folder
    raise busy or ConfigError(f"resume=true: no run under {parent} is unfinished")


def find_run(resume: str, *, finished: bool = False) -> Path:
    """Return the folder of an interrupted run.

    Args:
        resume: the run folder, or a checkpoint in it; true for the newest under `runs/`.
        finished: whether a finished run will do, which is to be extended.

    Raises:
        ConfigError: there is no such run, it is at work, or nothing is left to continue.
    """
    given = Path(resume).expanduser().resolve()
    if resume == "true":
        given = newest_unfinished(Path("runs").resolve())
    folder = given.parent.parent if given.suffix in {".pt", ".safetensors"} else given
    refuse_if_locked(folder, f"resume={resume}")
    last = folder / "weights" / "last.pt"
    if not checkpoints.exists(folder) and not last.is_file():
        raise ConfigError(f"resume={resume}: has no checkpoint; name a run folder")
    if (folder / "summary.json").is_file() and not finished:
        raise ConfigError(
            f"resume={resume}: is finished; there is nothing to resume, but epochs=NUMBER extends "
            "it"
        )
    return folder


def _is_empty(folder: Path) -> bool:
    # Hydra keeps its own records in a hidden folder if it is told to.
    return all(entry.name.startswith(".") for entry in folder.iterdir())


def _fresh(parent: Path, name: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for attempt in count(1):
        folder = parent / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")
