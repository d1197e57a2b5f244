"""Run folders: a fresh one for every run, found again to resume."""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from progressive.errors import ConfigError
from progressive.runs import checkpoints
from progressive.runs.environment import ENVIRONMENT, OTHER_TRAINERS
from progressive.runs.lock import locked, refuse_if_locked

#: In a folder whose run has begun, until it has ended.
BEGUN = ".begun"


@contextmanager
def claim(output: str | None) -> Iterator[Path]:
    """Create the run folder and hold it for this process; gives its absolute path.

    What fails inside before anything is trained leaves nothing behind.

    Args:
        output: the folder itself, which must be new or empty; None takes a fresh one under
            `runs/`, which two runs started in the same second never share.

    Raises:
        ConfigError: when `output` is in use or cannot be made.
    """
    made = output is None
    if output is None:
        folder = _fresh(Path("runs").resolve(), time.strftime("%Y-%m-%d_%H-%M-%S"))
    else:
        folder = _resolved("output", output)
        try:
            made = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"output={output}: {_reason(error)}") from None
    try:
        with locked(folder, f"output={output or 'null'}"):
            if output is not None:
                _check_empty(output)  # again, since another run may just have ended in it
            (folder / BEGUN).touch()
            try:
                yield folder
            except Exception:
                _forget_untrained(folder)
                raise
            (folder / BEGUN).unlink(missing_ok=True)
    except Exception:
        if made:
            with suppress(OSError):  # it holds something
                folder.rmdir()
        raise


def check_output(output: str | None) -> None:
    """Raise ConfigError if a run cannot have the folder `output`; write nothing."""
    if output is not None:
        refuse_if_locked(_resolved("output", output), f"output={output}")
    _check_empty(output)


def _check_empty(output: str | None) -> None:
    folder = _resolved("output", output or "runs")
    try:
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        if not existing.is_dir():
            raise ConfigError(f"output={output}: {existing} is no folder")
        if output is not None and folder.is_dir() and not _may_take(folder):
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
    begun = [folder for folder in begun if not of_other_trainer(folder)]
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
    given = _resolved("resume", resume)
    if resume == "true":
        given = newest_unfinished(Path("runs").resolve())
    folder = given.parent.parent if given.suffix in {".pt", ".safetensors"} else given
    refuse_if_locked(folder, f"resume={resume}")
    if of_other_trainer(folder):
        raise ConfigError(
            f"resume={resume}: was trained by another trainer of a comparison, which goes on with "
            f"its own command and output={folder.parent.parent}"
        )
    last = folder / "weights" / "last.pt"
    if not checkpoints.exists(folder) and not last.is_file():
        raise ConfigError(f"resume={resume}: has no checkpoint; name a run folder")
    if (folder / "summary.json").is_file() and not finished:
        raise ConfigError(
            f"resume={resume}: is finished; there is nothing to resume, but epochs=NUMBER extends "
            "it"
        )
    return folder


def of_other_trainer(folder: Path) -> bool:
    """Tell whether a run is a comparison's with a trainer that `progressive.run` has not."""
    try:
        command = json.loads((folder / ENVIRONMENT).read_text("utf-8"))["command"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return f" {OTHER_TRAINERS} " in str(command)


def _may_take(folder: Path) -> bool:
    """Tell whether a folder is empty, or has but a run that was killed before it trained."""
    # Hydra keeps its own records in a hidden folder if it is told to.
    empty = all(entry.name.startswith(".") for entry in folder.iterdir())
    return empty or (
        (folder / BEGUN).exists() and not checkpoints.exists(folder) and _is_untrained(folder)
    )


def _is_untrained(folder: Path) -> bool:
    return not (any(folder.glob("weights/*.pt")) or (folder / "epochs.csv").exists())


def _forget_untrained(folder: Path) -> None:
    """Remove what a run has written that failed before a batch was trained and kept."""
    found, _ = checkpoints.newest(folder)
    if (
        (found and found.position > (0, 0))
        or not _is_untrained(folder)
        or any(folder.glob("nan-*"))
    ):
        return
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.name.startswith("."):
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name == BEGUN or not (entry.is_dir() or entry.name.startswith(".")):
            entry.unlink(missing_ok=True)


def _resolved(key: str, value: str) -> Path:
    try:
        return Path(value).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{key}={value}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Say what is wrong with a path; one that loops is a RuntimeError in Python before 3.13."""
    if isinstance(error, RuntimeError) or getattr(error, "errno", None) == errno.ELOOP:
        return "a link that loops"
    return getattr(error, "strerror", None) or str(error)


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
