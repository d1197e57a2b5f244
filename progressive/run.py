"""Train a detector progressively: `python -m progressive.run stages=4 size.min=320 size.max=640`.

Compose the configuration, print the plan, build data and detector, train through the callback.
"""

from __future__ import annotations

if __name__ == "__main__":  # before anything slow is imported
    from progressive.signals import Interruption

    Interruption().install()

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from progressive.building import build, check_weights_and_model, keep_architecture
from progressive.config.model import Config
from progressive.config.train_arguments import ultralytics_defaults
from progressive.data import EMBEDDED, DatasetInfo, check, check_selection, resolve
from progressive.data.embedded.cache import cache_root
from progressive.data.object_sizes import median_object_side
from progressive.data.preflight import preflight, sentences
from progressive.data.selection import images_used
from progressive.errors import ConfigError, InputError
from progressive.hosts.ultralytics.freeze import check_freeze
from progressive.hosts.ultralytics.refusals import refusal
from progressive.machine import check_device, mixed_opencv, stay_offline
from progressive.pitfalls import large_objects, pitfalls
from progressive.prediction import fewest_epochs, most_epochs
from progressive.resume import go_on, interrupted
from progressive.runs import forecast, records, report
from progressive.runs.folders import check_output, claim
from progressive.runs.load import PRIMARY
from progressive.schedule import ProgressiveSchedule
from progressive.telling import tell, tell_plan, tell_result
from progressive.tracking import check_installed
from progressive.training import (
    callback_options,
    follow_schedule,
    places,
    trainer_arguments,
    with_absolute_paths,
)

if TYPE_CHECKING:
    from progressive.hosts.ultralytics.probe import Probed


def main() -> None:
    """Run the command line."""
    from progressive.config.command_line import run_with_hydra

    run_with_hydra(run)


def run(config: Config) -> float | None:
    """Print the plan of `config` and, unless it is a dry run, train.

    Returns:
        The objective, from 0 to 1: what the run is judged by, as mAP50-95 of a detector's best
        weights. None for a dry run.

    Raises:
        InputError: for bad input, before anything is written.
    """
    with redirect_stdout(sys.stderr) if config.log == "json" else nullcontext():
        return _run(config)


def _run(config: Config) -> float | None:
    data = precheck(config)
    run_folder = None
    if config.resume is not None:
        config, run_folder = interrupted(config, config.resume)
    probed = None
    if config.probes and run_folder is None:
        _preflight(config, data)  # before minutes of timing; what it finds is kept
        config, probed = _probe(config)
    opencv = [found] if (found := mixed_opencv()) else []
    warnings = [*_pitfalls(config, data), *_large_objects(config, data), *opencv]
    tell_plan(config, probed, warnings)
    if config.dry_run:
        return None
    for remark in (remarks := _preflight(config, data)):
        tell(config, f"\nWarning: {remark}")
    stay_offline(cache_root() / "fonts")
    with _heard(config):
        folder = go_on(config, run_folder) if run_folder else _train(config, probed, remarks)
    summary = json.loads((folder / records.SUMMARY).read_text("utf-8"))
    tell_result(config, folder, summary)
    return next((summary["metrics"][name] for name in PRIMARY if name in summary["metrics"]), None)


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
    check_installed(config.track)
    if reason := refusal({**config.train, "task": config.task}, config.schedule()):
        raise ConfigError(reason if reason.startswith("task=") else f"train.{reason}")
    data = check(config.data, config.task)
    check_selection(config.data, config.task, data, config.train)
    if config.budget.minutes is None:  # which chooses the number of epochs
        _pitfalls(config, data)
    if not config.dry_run or config.probes:
        check_device(config.device)
    return data


def precheck_all(configs: Sequence[Config]) -> None:
    """Check jobs, then every image and label of their data, before the first of them starts.

    Raises:
        InputError: as of `precheck`, or too many images or labels cannot be used.
    """
    data = [precheck(config) for config in configs]
    preflight_all(
        (config if config.resume is None else interrupted(config, config.resume)[0], found)
        for config, found in zip(configs, data, strict=True)
    )


def preflight_all(jobs: Iterable[tuple[Config, DatasetInfo | None]]) -> None:
    """Look at each data set of `jobs` once, for all that will read it; what is found is kept.

    Raises:
        InputError: too many of its images or labels cannot be used.
    """
    distinct = {
        (data.source, config.task, config.max_bad, config.train.get("single_cls")): (config, data)
        for config, data in jobs
        if data is not None and (config.probes or not config.dry_run)
    }
    for config, data in distinct.values():
        _preflight(config, data)


def _pitfalls(config: Config, data: DatasetInfo | None) -> list[str]:
    """Return what is likely to be a mistake in the schedule of `config`."""
    images = EMBEDDED[config.data].train_images if data is None else data.train_images
    images = images_used(images, config.train)
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
    """Look at every image and label of a user's data; return what is to be said."""
    if data is None:
        return []
    single_class = bool(config.train.get("single_cls"))
    cache = cache_root() / "preflight"
    return sentences(preflight(data, config.task, config.max_bad, cache, single_class=single_class))


def report_sweep(folder: Path) -> None:
    """Write one report for the runs in `folder`, if any has finished."""
    from progressive.runs.html import write_report

    if any(folder.glob(f"*/{records.SUMMARY}")):
        try:
            print(f"Report of the sweep: {write_report(folder)}")
        except InputError as error:  # a damaged record; the runs themselves are done
            print(f"progressive: no report of the sweep: {error}", file=sys.stderr)


def _probe(config: Config) -> tuple[Config, Probed]:
    """Time a few steps, and return `config` with as many epochs as fit into its budget."""
    from progressive.hosts.ultralytics.probe import probe

    stay_offline(cache_root() / "fonts")
    arguments = trainer_arguments(config)
    dataset = resolve(config.data, config.task)
    tell(config, "Timing a few steps at each stage ...")
    try:
        with _heard(config):
            probed = probe(
                lambda: build(config, dataset),
                config.schedule(),
                {**arguments, "data": str(dataset.source)},
                **callback_options(config),
            )
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing was saved yet.", file=sys.stderr)
        raise SystemExit(130) from None
    return _within_budget(config, probed), probed


def _heard(config: Config) -> AbstractContextManager[None]:
    """Let through of Ultralytics what the configuration wants; imports it."""
    from progressive.hosts.ultralytics.terminal import heard

    return heard(config.log)


def _within_budget(config: Config, probed: Probed) -> Config:
    minutes = config.budget.minutes
    if minutes is None:
        return config
    left = 60 * minutes - probed.timing.took

    def plan(epochs: int) -> ProgressiveSchedule:
        return config.model_copy(update={"epochs": epochs}).schedule()

    least = fewest_epochs(plan, config.relative_lengths())
    epochs = most_epochs(plan, lambda s: probed.predict(s).total, left, least)
    if epochs is None:
        needed = probed.predict(plan(least)).total + probed.timing.took
        raise ConfigError(
            f"budget.minutes={minutes:g}: {least} epochs, the fewest, take "
            f"{report.duration(needed)} with the probe; give more, fewer stages or a smaller size"
        )
    return config.model_copy(update={"epochs": epochs})


def _train(config: Config, probed: Probed | None, remarks: list[str]) -> Path:
    """Train a new detector and return its run folder."""
    arguments = trainer_arguments(config)
    dataset = resolve(config.data, config.task)
    config = with_absolute_paths(config)
    model = build(config, dataset)
    check_freeze(model.model, config.train.get("freeze"))
    with claim(config.output) as folder:
        keep_architecture(config, model, folder)
        tell(config, f"\nRun folder: {folder}\n")
        arguments |= places(folder, dataset)
        return follow_schedule(config, model, folder, arguments, _notes(config, probed, remarks))


def _notes(config: Config, probed: Probed | None, remarks: list[str]) -> dict[str, Any]:
    """Return what `plan.json` is to keep of a probe and of the check of the data."""
    found: dict[str, Any] = {"data_remarks": remarks} if remarks else {}
    if probed is None:
        return found
    prediction = forecast.as_record(probed.predict(config.schedule()))
    return {**found, "prediction": prediction, "timing": probed.timing.to_json()}


if __name__ == "__main__":
    main()
