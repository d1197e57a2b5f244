"""What a run says before and after training, for people or, with `log=json`, for a program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from progressive import console
from progressive.building import title
from progressive.config.model import Config
from progressive.runs import forecast, records, report
from progressive.schedule import KNOBS, ProgressiveSchedule

if TYPE_CHECKING:
    from progressive.hosts.ultralytics.probe import Probed


def tell_plan(config: Config, probed: Probed | None, warnings: Sequence[str]) -> None:
    """Say what is going to be trained, how long it takes if that is known, and what to mind."""
    schedule = config.schedule()
    prediction = probed.predict(schedule) if probed else None
    if config.log == "json":
        known = {"prediction": forecast.as_record(prediction)} if prediction else {}
        console.emit(
            "plan", title=title(config), **records.plan(schedule), **known, warnings=list(warnings)
        )
        return
    print(title(config), report.plan_table(schedule), sep="\n\n", flush=True)
    for remark in _remarks(config, schedule):
        print(remark, flush=True)
    if probed is not None and prediction is not None:
        said = forecast.forecast(schedule, probed.timing, prediction, config.price_per_hour)
        print("", said, sep="\n", flush=True)
    for warning in warnings:
        tell(config, f"\nWarning: {warning}")


def tell(config: Config, text: str) -> None:
    """Say something by the way; not on standard output where a program reads that."""
    print(text, file=sys.stderr if config.log == "json" else sys.stdout, flush=True)


def tell_result(config: Config, folder: Path, summary: dict[str, Any]) -> None:
    """Say what training came to."""
    best = folder / "weights" / "best.pt"
    if config.log == "json":
        console.emit("result", folder=str(folder), weights=str(best), **summary)
        return
    seconds = summary["seconds"]
    print(
        f"\n{console.paint(report.scores(summary['metrics']), console.BOLD)}. "
        f"Training took {report.duration(seconds['train'])}, "
        f"with validation and set-up {report.duration(seconds['total'])}.\n"
        f"Best weights: {best}\n"
        f"Records:      {folder / records.SUMMARY}, {records.STAGES}, {records.EPOCHS}"
    )


def _has_levels(config: Config) -> bool:
    """Tell whether the detector learns an object on one of several feature maps."""
    whole = Path(config.model).name if config.model else ""
    transformer = config.head is not None and config.head.name == "rtdetr"
    return (
        config.task not in ("classify", "semantic")
        and not transformer
        and not whole.startswith("rtdetr")
    )


def _remarks(config: Config, schedule: ProgressiveSchedule) -> list[str]:
    """Return what the table of the plan does not show."""
    remarks = []
    if config.starts_from_weights and not any(schedule.uses(knob.name) for knob in KNOBS):
        remarks.append("Training starts from weights, so only the image size rises.")
    grows = schedule.stages[0].image_size < schedule.image_size
    if config.lr_by == "compute" and grows:
        remarks.append("The learning rate falls with the pixels processed.")
    if config.levels_by == "final" and grows and _has_levels(config):
        remarks.append("Objects are learned on the feature maps of the final size.")
    return remarks
