"""Train a detector through the callback, as a configuration asks."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from progressive.config.model import Config, to_yaml
from progressive.data import EMBEDDED, DatasetInfo
from progressive.errors import ConfigError, InputError, why_not_written
from progressive.prediction import Timing
from progressive.runs import checkpoints
from progressive.schedule import ProgressiveSchedule
from progressive.signals import installed

if TYPE_CHECKING:
    from ultralytics.engine.model import Model


def trainer_arguments(config: Config) -> dict[str, Any]:
    """Return what Ultralytics is to train with, checked by itself; no folder is named yet."""
    # Deterministic algorithms cost time, so they have to be asked for.
    arguments = {"deterministic": False, **asked_of_trainer(config)}
    check_arguments(arguments)
    return arguments


def asked_of_trainer(config: Config) -> dict[str, Any]:
    """Return the arguments of Ultralytics that `config` names and that its data set wants."""
    embedded = EMBEDDED.get(config.data)
    return {
        **(embedded.train_arguments if embedded else {}),
        **config.train,
        "batch": config.batch,
        "seed": config.seed,
        "device": config.device,
        "cache": config.cache == "disk" and "disk",
        "workers": config.workers,
    }


def with_absolute_paths(config: Config) -> Config:
    """Let the run be resumed from any folder."""
    backbone = config.backbone
    if backbone is not None and backbone.weights is not None:
        backbone = backbone.model_copy(update={"weights": backbone.weights.resolve()})
    known = config.data in EMBEDDED
    data = config.data if known else str(Path(config.data).expanduser().resolve())
    return config.model_copy(update={"backbone": backbone, "data": data})


def places(folder: Path, dataset: DatasetInfo) -> dict[str, Any]:
    """Return the arguments that say where Ultralytics reads and writes."""
    where = {"project": str(folder.parent), "name": folder.name, "exist_ok": True}
    return {"data": str(dataset.source), **where}


def follow_schedule(
    config: Config,
    model: Model,
    folder: Path,
    arguments: dict,
    notes: dict[str, Any],
    *,
    resume: bool = False,
) -> Path:
    """Train `model` through the callback, exactly as a user of the callback would."""
    from progressive.hosts.ultralytics.budget import BudgetCallback
    from progressive.hosts.ultralytics.callback import ProgressiveCallback
    from progressive.hosts.ultralytics.safe_files import reading_safely

    options = {
        **{"config": to_yaml(config), "notes": notes, "resume": resume},
        **{"save_minutes": config.save_minutes, **callback_options(config)},
        **{"track": config.track, "log": config.log},
    }
    callback: ProgressiveCallback
    schedule = config.schedule()
    if config.budget.minutes is not None and "timing" in notes:
        callback = BudgetCallback(
            schedule,
            seconds=60 * config.budget.minutes,
            timing=Timing.from_json(notes["timing"]),
            weights=config.relative_lengths(),
            rewrite=partial(_with_schedule, config),
            **options,
        )
    else:
        callback = ProgressiveCallback(schedule, **options)
    callback.attach(model)
    if "," in (config.device or ""):
        kind = arguments.get("trainer") or model._smart_load("trainer")
        arguments = {**arguments, "trainer": partial(_launched, kind)}
        if interruption := installed():
            interruption.as_exceptions()  # which end the processes of the launch
    try:
        with reading_safely(model.model):
            model.train(**arguments)
    except KeyboardInterrupt:
        print(f"\nInterrupted. {_advice(folder)}", file=sys.stderr)
        interruption = installed()
        raise SystemExit(interruption.code if interruption else 130) from None
    except (OSError, RuntimeError) as error:
        reason = why_not_written(error)
        if reason is None:
            raise
        raise InputError(f"{folder}: {reason}. {_advice(folder)}") from None
    return folder


def _advice(folder: Path) -> str:
    """Say how to go on with a training that has ended too early."""
    begun = checkpoints.exists(folder) or (folder / "weights" / "last.pt").is_file()
    return f"Continue with: resume={folder}" if begun else "Nothing was saved yet."


def _launched(kind: Any, **given: Any) -> Any:
    """Return a trainer which, when it launches one process a GPU, spares the run folder.

    Ultralytics deletes that of a run that does not resume in its way: our lock and checkpoints.
    """
    trainer = kind(**given)
    trainer.resume = trainer.resume or trainer.ddp
    return trainer


def callback_options(config: Config) -> dict[str, Any]:
    """Return the arguments of the callback that a probe and a training have in common."""
    return {
        "val_every": config.val_every,
        "cache_encoded": config.cache == "encoded",
        "levels_by_final": config.levels_by == "final",
        "lr_by_compute": config.lr_by == "compute",
        "merge_batches": config.merge_batches,
        "train_faster": config.train_faster,
    }


def _with_schedule(config: Config, schedule: ProgressiveSchedule) -> str:
    """Return the text of a configuration whose stages last as long as those of `schedule`."""
    lengths = tuple(float(stage.epochs) for stage in schedule.stages)
    same = {"epochs": schedule.epochs, "durations": lengths, "durations_by": "epochs"}
    return to_yaml(config.model_copy(update=same))


def check_arguments(arguments: dict) -> None:
    """Let Ultralytics judge its own arguments before a folder is made for the run."""
    from ultralytics.cfg import get_cfg

    try:
        get_cfg(overrides=dict(arguments))
    except (TypeError, ValueError, SyntaxError) as error:
        raise ConfigError(f"train: {error}") from None
