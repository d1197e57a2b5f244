"""Train a detector progressively: `python -m progressive.run stages=4 size.min=320 size.max=640`.

Compose the configuration, print the plan, build data and detector, train through the callback.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from progressive.building import (
    build,
    check_weights_and_model,
    keep_architecture,
    rebuild,
    title,
)
from progressive.config.model import Config, read_yaml, to_yaml
from progressive.config.train_arguments import ultralytics_defaults
from progressive.data import EMBEDDED, DatasetInfo, check, check_selection, resolve
from progressive.data.embedded.cache import cache_root
from progressive.data.object_sizes import median_object_side
from progressive.data.preflight import preflight, sentences
from progressive.errors import ConfigError, InputError
from progressive.hosts.ultralytics.freeze import check_freeze
from progressive.hosts.ultralytics.refusals import refusal
from progressive.machine import check_device, stay_offline
from progressive.pitfalls import large_objects, pitfalls
from progressive.prediction import Timing, fewest_epochs, most_epochs
from progressive.runs import forecast, records, report
from progressive.runs.folders import check_output, claim, find_run
from progressive.schedule import ProgressiveSchedule

if TYPE_CHECKING:
    from ultralytics.engine.model import Model

    from progressive.hosts.ultralytics.probe import Probed

#: What `plan.json` keeps beside the plan, also of a run that is resumed.
NOTES = ("prediction", "timing", "data_remarks")


def main() -> None:
    """Run the command line."""
    from progressive.config.command_line import run_with_hydra

    run_with_hydra(run)


def run(config: Config) -> float | None:
    """Print the plan of `config` and, unless it is a dry run, train.

    Returns:
        The objective, mAP50-95 or accuracy of the best weights, from 0 to 1; None for a dry run.

    Raises:
        InputError: for bad input, before anything is written.
    """
    data = precheck(config)
    checkpoint = None
    if config.resume is not None:
        config, checkpoint = interrupted(config, config.resume)
    probed = None
    if config.probes and checkpoint is None:
        config, probed = _probe(config)
    print(title(config), report.plan_table(config.schedule()), sep="\n\n", flush=True)
    if config.lr_by == "compute" and config.schedule().stages[0].image_size < config.size.max:
        print("The learning rate falls with the pixels processed.", flush=True)
    if probed is not None:
        print("", _forecast(config, probed), sep="\n", flush=True)
    for warning in [*_pitfalls(config, data), *_large_objects(config, data)]:
        print(f"\nWarning: {warning}", flush=True)
    if config.dry_run:
        return None
    remarks = _preflight(config, data)
    stay_offline(cache_root() / "fonts")
    folder = _resume(config, checkpoint) if checkpoint else _train(config, probed, remarks)
    summary = json.loads((folder / records.SUMMARY).read_text("utf-8"))
    _print_result(folder, summary)
    return summary["metrics"].get("accuracy_top1" if config.task == "classify" else "mAP50_95")


def precheck(config: Config) -> DatasetInfo | None:
    """Check what `config` names on disk and what it asks of Ultralytics; write nothing.

    Returns:
        What is known of the data set; None for an embedded one.

    Raises:
        InputError: no such data set, weights, run or device, an output folder in use, or an
            argument of Ultralytics under which a schedule cannot hold.
    """
    if config.resume is not None:
        config, _ = interrupted(config, config.resume)  # its checkpoint supersedes other weights
    else:
        check_output(config.output)
        check_weights_and_model(config)
    if reason := refusal({**config.train, "task": config.task}, config.schedule()):
        raise ConfigError(reason if reason.startswith("task=") else f"train.{reason}")
    data = check(config.data, config.task)
    check_selection(config.data, config.task, data, config.train)
    if config.budget.minutes is None:  # which chooses the number of epochs
        _pitfalls(config, data)
    if not config.dry_run or config.probes:
        check_device(config.device)
    return data


def _pitfalls(config: Config, data: DatasetInfo | None) -> list[str]:
    """Return what is likely to be a mistake in the schedule of `config`."""
    images = EMBEDDED[config.data].train_images if data is None else data.train_images
    fraction = config.train.get("fraction", 1.0)
    fraction = fraction[0] if isinstance(fraction, list) else fraction
    # Ultralytics takes a whole number above 1 for a number of images.
    counted = isinstance(fraction, int) and fraction > 1
    images = min(fraction, images) if counted else max(round(images * fraction), 1)
    defaults = ultralytics_defaults()
    numbers = {name: config.train.get(name, defaults[name]) for name in ("nbs", "warmup_epochs")}
    found = pitfalls(config.schedule(), images, batch=config.batch, **numbers)
    try:
        return list(found)
    except InputError as error:
        raise ConfigError(str(error)) from None


def _large_objects(config: Config, data: DatasetInfo | None) -> list[str]:
    """Return what is to be said of the size of the objects, which embedded data sets have small."""
    side = None
    if data is not None and config.task == "detect":
        side = median_object_side(data.source, data.root)
    return [] if side is None else list(large_objects(config.schedule(), side))


def _preflight(config: Config, data: DatasetInfo | None) -> list[str]:
    """Look at every image and label of a user's data; return and print what is to be said."""
    if data is None:
        return []
    found = preflight(data, config.task, config.max_bad, cache_root() / "preflight")
    for remark in (said := sentences(found)):
        print(f"\nWarning: {remark}", flush=True)
    return said


def report_sweep(folder: Path) -> None:
    """Write one report for the runs in `folder`, if any has finished."""
    from progressive.runs.html import write_report

    if any(folder.glob(f"*/{records.SUMMARY}")):
        try:
            print(f"Report of the sweep: {write_report(folder)}")
        except InputError as error:  # a damaged record; the runs themselves are done
            print(f"progressive: no report of the sweep: {error}", file=sys.stderr)


def interrupted(config: Config, resume: str) -> tuple[Config, Path]:
    """Return the configuration that the run `resume` began with, and its last checkpoint.

    Only `device`, `workers` and `dry_run` are taken from `config`.

    Raises:
        ConfigError: no such run, nothing to continue, or a config.yaml that cannot be read.
    """
    settings, checkpoint = find_run(resume)
    saved = read_yaml(settings)
    asked: dict[str, Any] = {"workers": config.workers, "dry_run": config.dry_run}
    if config.device is not None:
        asked["device"] = config.device
    return saved.model_copy(update=asked), checkpoint


def _probe(config: Config) -> tuple[Config, Probed]:
    """Time a few steps, and return `config` with as many epochs as fit into its budget."""
    from progressive.hosts.ultralytics.probe import probe

    stay_offline(cache_root() / "fonts")
    arguments = _arguments(config)
    dataset = resolve(config.data, config.task)
    print("Timing a few steps at each stage ...", flush=True)
    try:
        probed = probe(
            lambda: build(config, dataset),
            config.schedule(),
            {**arguments, "data": str(dataset.source)},
            **_options(config),
        )
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing was saved yet.", file=sys.stderr)
        raise SystemExit(130) from None
    return _within_budget(config, probed), probed


def _within_budget(config: Config, probed: Probed) -> Config:
    minutes = config.budget.minutes
    if minutes is None:
        return config
    left = 60 * minutes - probed.timing.took

    def plan(epochs: int) -> ProgressiveSchedule:
        return config.model_copy(update={"epochs": epochs}).schedule()

    least = fewest_epochs(plan, config.stages)
    epochs = most_epochs(plan, lambda s: probed.predict(s).total, left, least)
    if epochs is None:
        needed = probed.predict(plan(least)).total + probed.timing.took
        raise ConfigError(
            f"budget.minutes={minutes:g}: {least} epochs, the fewest, take "
            f"{report.duration(needed)} with the probe; give more, fewer stages or a smaller size"
        )
    return config.model_copy(update={"epochs": epochs})


def _forecast(config: Config, probed: Probed) -> str:
    schedule = config.schedule()
    prediction = probed.predict(schedule)
    return forecast.forecast(schedule, probed.timing, prediction, config.price_per_hour)


def _arguments(config: Config) -> dict[str, Any]:
    """Return what Ultralytics is to train with, checked by itself; no folder is named yet."""
    embedded = EMBEDDED.get(config.data)
    arguments = {
        "deterministic": False,  # it costs time, so it has to be asked for
        **(embedded.train_arguments if embedded else {}),
        **config.train,
        "batch": config.batch,
        "seed": config.seed,
        "device": config.device,
        "cache": config.cache == "disk" and "disk",
        "workers": config.workers,
    }
    check_arguments(arguments)
    return arguments


def _train(config: Config, probed: Probed | None, remarks: list[str]) -> Path:
    """Train a new detector and return its run folder."""
    arguments = _arguments(config)
    dataset = resolve(config.data, config.task)
    config = with_absolute_paths(config)
    model = build(config, dataset)
    check_freeze(model.model, config.train.get("freeze"))
    folder = claim(config.output)
    keep_architecture(config, model, folder)
    print(f"\nRun folder: {folder}\n", flush=True)
    arguments |= {"data": str(dataset.source), "exist_ok": True}
    arguments |= {"project": str(folder.parent), "name": folder.name}
    return follow_schedule(config, model, folder, arguments, _notes(config, probed, remarks))


def _notes(config: Config, probed: Probed | None, remarks: list[str]) -> dict[str, Any]:
    """Return what `plan.json` is to keep of a probe and of the check of the data."""
    found: dict[str, Any] = {"data_remarks": remarks} if remarks else {}
    if probed is None:
        return found
    prediction = forecast.as_record(probed.predict(config.schedule()))
    return {**found, "prediction": prediction, "timing": probed.timing.to_json()}


def with_absolute_paths(config: Config) -> Config:
    """Let the run be resumed from any folder."""
    backbone = config.backbone
    if backbone is not None and backbone.weights is not None:
        backbone = backbone.model_copy(update={"weights": backbone.weights.resolve()})
    known = config.data in EMBEDDED
    data = config.data if known else str(Path(config.data).expanduser().resolve())
    return config.model_copy(update={"backbone": backbone, "data": data})


def _resume(config: Config, checkpoint: Path) -> Path:
    """Continue an interrupted run in its own folder, from its `config.yaml` and bare numbers."""
    from progressive.hosts.ultralytics.resume import going_on, trainer_of
    from progressive.safe_loading.checkpoints import names_in, read_checkpoint

    folder, best = checkpoint.parents[1], checkpoint.with_name("best.pt")
    arguments = _arguments(config)
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


def follow_schedule(
    config: Config, model: Model, folder: Path, arguments: dict, notes: dict[str, Any]
) -> Path:
    """Train `model` through the callback, exactly as a user of the callback would."""
    from progressive.hosts.ultralytics.budget import BudgetCallback
    from progressive.hosts.ultralytics.callback import ProgressiveCallback
    from progressive.hosts.ultralytics.safe_files import reading_safely

    options = {"config": to_yaml(config), "notes": notes, **_options(config)}
    callback: ProgressiveCallback
    if config.budget.minutes is not None and "timing" in notes:
        callback = BudgetCallback(
            config.schedule(),
            seconds=60 * config.budget.minutes,
            timing=Timing.from_json(notes["timing"]),
            weights=config.durations or (1.0,) * config.stages,
            rewrite=partial(_with_schedule, config),
            **options,
        )
    else:
        callback = ProgressiveCallback(config.schedule(), **options)
    callback.attach(model)
    try:
        with reading_safely(model.model):
            model.train(**arguments)
    except KeyboardInterrupt:
        begun = (folder / "weights" / "last.pt").is_file()
        advice = f"Continue with: resume={folder}" if begun else "Nothing was saved yet."
        print(f"\nInterrupted. {advice}", file=sys.stderr)
        raise SystemExit(130) from None
    return folder


def _options(config: Config) -> dict[str, Any]:
    """Return the arguments of the callback that a probe and a training have in common."""
    return {
        "val_every": config.val_every,
        "cache_encoded": config.cache == "encoded",
        "lr_by_compute": config.lr_by == "compute",
        "merge_batches": config.merge_batches,
        "train_faster": config.train_faster,
    }


def _with_schedule(config: Config, schedule: ProgressiveSchedule) -> str:
    """Return the text of a configuration whose stages last as long as those of `schedule`."""
    lengths = tuple(float(stage.epochs) for stage in schedule.stages)
    return to_yaml(config.model_copy(update={"epochs": schedule.epochs, "durations": lengths}))


def check_arguments(arguments: dict) -> None:
    """Let Ultralytics judge its own arguments before a folder is made for the run."""
    from ultralytics.cfg import get_cfg

    try:
        get_cfg(overrides=dict(arguments))
    except (TypeError, ValueError, SyntaxError) as error:
        raise ConfigError(f"train: {error}") from None


def _print_result(folder: Path, summary: dict[str, Any]) -> None:
    seconds = summary["seconds"]
    print(
        f"\n{report.scores(summary['metrics'])}. "
        f"Training took {report.duration(seconds['train'])}, "
        f"with validation and set-up {report.duration(seconds['total'])}.\n"
        f"Best weights: {folder / 'weights' / 'best.pt'}\n"
        f"Records:      {folder / records.SUMMARY}, {records.STAGES}, {records.EPOCHS}"
    )


if __name__ == "__main__":
    main()
