"""Run folders: a fresh one for every run, found again to resume."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

from progressive.errors import ConfigError


def claim(output: str | None) -> Path:
    """Create the run folder and return its absolute path.

    Args:
        output: the folder itself, which must be new or empty; None takes a fresh one under
            ``runs/``, which two runs started in the same second never share.

    Raises:
        ConfigError: when ``output`` is in use or cannot be made.
    """
    if output is None:
        return _fresh(Path("runs").resolve(), time.strftime("%Y-%m-%d_%H-%M-%S"))
    folder = Path(output).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output={output}: {error.strerror or error}") from None
    check_output(output)
    return folder


def check_output(output: str | None) -> None:
    """Raise ConfigError if a run cannot have the folder ``output``; write nothing."""
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


def find_run(resume: str) -> tuple[Path, Path]:
    """Return the config.yaml and the last checkpoint of an interrupted run.

    Args:
        resume: the run folder, or a checkpoint in it.

    Raises:
        ConfigError: when there is no such run or nothing to continue.
    """
    given = Path(resume).expanduser().resolve()
    folder = given.parent.parent if given.suffix == ".pt" else given
    settings, checkpoint = folder / "config.yaml", folder / "weights" / "last.pt"
    if not checkpoint.is_file():
        raise ConfigError(f"resume={resume}: has no weights/last.pt; name a run folder")
    if not settings.is_file():
        raise ConfigError(
            f"resume={resume}: has no config.yaml, so it is not a run of this program"
        )
    if (folder / "summary.json").is_file():
        raise ConfigError(f"resume={resume}: is finished; there is nothing to resume")
    return settings, checkpoint


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
