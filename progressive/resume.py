"""Continue a run: which one, with which settings, from which state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from progressive.building import rebuild
from progressive.config.model import Config, read_yaml, validate
from progressive.data import resolve
from progressive.errors import ConfigError
from progressive.runs import checkpoints, records
from progressive.runs.checkpoints import is_whole
from progressive.runs.folders import find_run
from progressive.runs.load import flat
from progressive.runs.lock import locked
from progressive.signals import installed
from progressive.training import (
    follow_schedule,
    places,
    trainer_arguments,
    with_absolute_paths,
)

#: What `plan.json` keeps beside the plan.
NOTES = ("prediction", "timing", "data_remarks", "remarks")

#: What a resumed run may change; what else is given must be as it was.
ALLOWED = ("device", "dry_run", "log", "resume", "save_minutes", "track", "workers")


def interrupted(config: Config, resume: str) -> tuple[Config, Path]:
    """Return the configuration that the run `resume` goes on with, and its folder.

    Only `dry_run` and, where they are given, `device`, `workers`, `log`, `save_minutes` and `track`
    are taken from `config`, and more epochs for a run that is finished.

    Raises:
        ConfigError: no such run, nothing to continue, settings that cannot be read, or others
            than the run has.
    """
    folder = find_run(resume, finished="epochs" in config.names_given)
    saved = _settings(folder, resume)
    if "epochs" in config.names_given and (folder / records.SUMMARY).is_file():
        saved = _extended(saved, config.epochs, folder)
    _refuse_changes(config, saved, folder)
    asked: dict[str, Any] = {"dry_run": config.dry_run}
    asked |= {
        name: getattr(config, name)
        for name in ("log", "save_minutes", "track", "workers")
        if name in config.names_given
    }
    if config.device is not None:
        asked["device"] = config.device
    return saved.model_copy(update=asked), folder


def _extended(saved: Config, epochs: int, folder: Path) -> Config:
    """Return the settings of a finished run with another stage at full size."""
    if epochs <= saved.epochs:
        raise ConfigError(
            f"epochs={epochs}: {folder} has finished {saved.epochs}; to extend it, give more"
        )
    if saved.budget.minutes is not None:
        raise ConfigError(
            f"epochs={epochs}: {folder} has spent its budget.minutes={saved.budget.minutes:g}; "
            "it cannot be extended"
        )
    if not checkpoints.exists(folder):
        raise ConfigError(f"epochs={epochs}: {folder} has no checkpoint to go on from")
    ended = (*saved.extended, saved.epochs)
    return saved.model_copy(update={"epochs": epochs, "extended": ended})


def _refuse_changes(config: Config, saved: Config, folder: Path) -> None:
    """Raise ConfigError if the command line gives a key another value than the run has."""
    old = flat(saved.model_dump(mode="json"))
    new = flat(with_absolute_paths(config).model_dump(mode="json"))
    names = [name for name in config.names_given if name not in ALLOWED]
    old["output"] = str(folder)
    new["output"] = str(Path(config.output or folder).expanduser().resolve())
    found = {
        key: f"{key}={_spelled(new.get(key))} (the run has {_spelled(old.get(key))})"
        for name in names
        for key in sorted(old.keys() | new.keys())
        if f"{key}.".startswith(f"{name}.") and old.get(key) != new.get(key)
    }
    if found:
        raise ConfigError(
            f"{', '.join(found.values())}: cannot be changed by resume; allowed are "
            f"{', '.join(ALLOWED)}, and more epochs than a finished run has"
        )


def _spelled(value: Any) -> str:
    return str(value) if isinstance(value, str) else json.dumps(value)


def _settings(folder: Path, resume: str) -> Config:
    """Return the settings of a run, from its checkpoint where config.yaml is lost."""
    settings = folder / "config.yaml"
    try:
        return read_yaml(settings)
    except ConfigError as error:
        checkpoint, _ = checkpoints.newest(folder)
        text = checkpoint.state.get("config") if checkpoint else None
        if text is not None:
            return validate(yaml.safe_load(text))
        if settings.exists():
            raise
        raise ConfigError(
            f"resume={resume}: has no config.yaml, so it is not a run of this program"
        ) from error


def go_on(config: Config, folder: Path) -> Path:
    """Continue an interrupted run in its own folder."""
    with locked(folder, f"resume={folder}"):
        if not checkpoints.exists(folder):
            return _resume_last(config, folder)
        found, complaints = checkpoints.newest(folder)
        if found is None:
            raise ConfigError(f"resume={folder}: no checkpoint is whole: {complaints[0]}")
        if interruption := installed():
            interruption.advice = f"Continue with: resume={folder}"
        from progressive.safe_loading.checkpoints import names_in, read_checkpoint

        arguments = trainer_arguments(config)
        dataset = resolve(config.data, config.task)
        model = rebuild(config, dataset, folder)
        best = folder / "weights" / "best.pt"
        if is_whole(best):  # another is left out, and replaced when training finds a better one
            read_checkpoint(best, names_in(model.model)).check_fits(model.model)
        arguments |= places(folder, dataset)
        (folder / records.SUMMARY).unlink(missing_ok=True)  # of a run that is extended
        return follow_schedule(config, model, folder, arguments, _read_notes(folder), resume=True)


def _resume_last(config: Config, folder: Path) -> Path:
    """Continue a run of an earlier version, which has Ultralytics' checkpoint only."""
    from progressive.hosts.ultralytics.resume import going_on, trainer_of
    from progressive.safe_loading.checkpoints import names_in, read_checkpoint

    checkpoint = folder / "weights" / "last.pt"
    best = checkpoint.with_name("best.pt")
    arguments = trainer_arguments(config)
    dataset = resolve(config.data, config.task)
    model = rebuild(config, dataset, folder)
    known = names_in(model.model)
    saved = read_checkpoint(checkpoint, known)
    if not 0 < saved.epoch + 1 < config.epochs:  # 0: the last step of a run takes the number out
        raise ConfigError(f"resume={folder}: all {config.epochs} epochs are trained already")
    for found in (saved, *([read_checkpoint(best, known)] if best.exists() else [])):
        found.check_fits(model.model)
    arguments |= {"data": str(dataset.source), "save_dir": str(folder)}
    arguments |= {"trainer": going_on(trainer_of(model), saved)}
    return follow_schedule(config, model, folder, arguments, _read_notes(folder))


def _read_notes(folder: Path) -> dict[str, Any]:
    """Return what `plan.json` of an interrupted run keeps of its probe."""
    try:
        found = json.loads((folder / records.PLAN).read_text("utf-8"))
        return {name: found[name] for name in NOTES if name in found}
    except (OSError, ValueError, TypeError):
        return {}
