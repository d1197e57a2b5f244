"""Run folders: a fresh one for every run, found again to resume."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import yaml

from progressive.config.model import Config, validate
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
        if output is not None and folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(
                f"output={output}: is not empty; name a new folder, or continue it with "
                f"resume={output}"
            )
    except OSError as error:
        raise ConfigError(f"output={output}: {error.strerror or error}") from None


def find_run(config: Config) -> tuple[Config, Path]:
    """Return the configuration of the run that ``config.resume`` names, and its checkpoint.

    Only ``device``, ``workers`` and ``dry_run`` are taken from ``config`` itself.

    Raises:
        ConfigError: when there is no such run or nothing to continue.
    """
    label = f"resume={config.resume}"
    given = Path(str(config.resume)).expanduser().resolve()
    folder = given.parent.parent if given.suffix == ".pt" else given
    checkpoint = folder / "weights" / "last.pt"
    if not checkpoint.is_file():
        raise ConfigError(f"{label}: has no weights/last.pt; name a run folder")
    settings = folder / "config.yaml"
    if not settings.is_file():
        raise ConfigError(f"{label}: has no config.yaml, so it is not a run of this program")
    if (folder / "summary.json").is_file():
        raise ConfigError(f"{label}: is finished; there is nothing to resume")
    try:
        # Keys that earlier versions did not have, as they behaved.
        earlier = {"merge_batches": False}
        saved = validate({**earlier, **yaml.safe_load(settings.read_text("utf-8"))})
    except (OSError, TypeError, ValueError, yaml.YAMLError, AttributeError) as error:
        raise ConfigError(f"{settings}: {error}") from None
    device = saved.device if config.device is None else config.device
    return (
        replace(saved, device=device, workers=config.workers, dry_run=config.dry_run),
        checkpoint,
    )


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
