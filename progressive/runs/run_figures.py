"""The figures about one run: its schedule, its scores, its time, what was predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from progressive.runs import figures
from progressive.runs.load import Run
from progressive.runs.report import METRICS
from progressive.schedule import KNOBS, ProgressiveSchedule

#: Parts of the time of a stage: column of a stage's row, what it is called, colour.
TIME = (
    ("data_seconds", "waiting for data", "#e8a33d"),
    ("compute_seconds", "forward and backward", figures.ACCENT),
    ("optimizer_seconds", "optimizer", "#8cb8f7"),
    ("rest_seconds", "rest of training", "#c9d1da"),
    ("validation_seconds", "validation and saving", "#5c6773"),
)


def schedule_figure(schedule: ProgressiveSchedule, width: float) -> Figure:
    """Draw the image size and every knob that the schedule turns, as steps over the epochs."""
    knobs = [knob for knob in KNOBS if schedule.uses(knob.name)]
    heights = [2.2, *[1] * len(knobs)]
    figure = figures.new(width, 0.78 * sum(heights) + 0.5)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    sizes = [stage.image_size for stage in schedule.stages]
    _steps(axes[0], schedule, sizes, [f"{size} px" for size in sizes], "image size")
    for row, knob in zip(axes[1:], knobs, strict=True):
        values = [knob.of(stage) for stage in schedule.stages]
        _steps(row, schedule, values, [knob.written(value) for value in values], knob.label)
    for upper in axes[:-1]:
        upper.tick_params(axis="x", length=0)
    axes[-1].set_xlabel("epochs trained")
    figures.whole_numbers(axes[-1])
    return figure


def score_figure(run: Run, baseline: Run | None, width: float) -> Figure:
    """Draw every metric against epochs and against time, stages shaded, a baseline beside it."""
    figure, (over_epochs, over_time) = figures.panels(width, 3.0, 2)
    unit, name = figures.time_unit(max(run.seconds, baseline.seconds if baseline else 0))
    names = [key for key in METRICS if any(key in r.metrics for r in run.epochs)]
    shades = dict.fromkeys(names, "#9aa4af") | {run.primary: figures.ACCENT}
    for key in sorted(names, key=lambda key: key == run.primary):
        trained, seconds, values = run.curve(key)
        style: dict[str, Any] = {
            "color": shades[key],
            "label": METRICS[key],
            "linewidth": 1.8,
            "marker": "o",
            "markersize": 3.5,
            "clip_on": False,
            "zorder": 3,
        }
        over_epochs.plot(trained, values, **style)
        over_time.plot([each / unit for each in seconds], values, **style)
    _shade(over_epochs, run, None)
    _shade(over_time, run, unit)
    if baseline is not None and run.primary and baseline.curve(run.primary)[0]:
        trained, seconds, values = baseline.curve(run.primary)
        dashed: dict[str, Any] = {"color": figures.INK, "linestyle": "--", "linewidth": 1.4}
        label = f"baseline, {METRICS[run.primary]}"
        over_epochs.plot(trained, values, label=label, **dashed)
        over_time.plot([each / unit for each in seconds], values, **dashed)
        over_epochs.set_xlim(0, max(over_epochs.get_xlim()[1], *trained))
        over_time.set_xlim(0, max(over_time.get_xlim()[1], *(each / unit for each in seconds)))
    over_epochs.set_xlabel("epochs trained")
    over_time.set_xlabel(f"time of training and validation ({name})")
    figures.whole_numbers(over_epochs)
    for axes in (over_epochs, over_time):
        axes.grid(axis="y")
    top = max(over_epochs.get_ylim()[1], over_time.get_ylim()[1])
    over_epochs.set_ylim(0, 1.12 * top)  # room for the sizes of the stages
    over_time.set_ylim(0, 1.12 * top)
    figures.legend_above(figure, over_epochs, 4 if width >= figures.WIDE else 2)
    return figure


def time_figure(rows: Sequence[Mapping[str, Any]], width: float) -> Figure:
    """Draw where the time of each stage went.

    Args:
        rows: of the stages that have begun, as `time_rows` returns them.
        width: in inches.
    """
    wide = width >= figures.WIDE
    figure = figures.new(width, 0.42 * len(rows) + (1.05 if wide else 1.5))
    axes = figure.subplots()
    total = max(sum(row[key] or 0 for key, _, _ in TIME) for row in rows)
    unit, name = figures.time_unit(total)
    places, left = np.arange(len(rows)), np.zeros(len(rows))
    for key, label, colour in TIME:
        values = np.array([row[key] or 0 for row in rows]) / unit
        if values.any():
            axes.barh(places, values, 0.62, left=left, color=colour, label=label)
            left += values
    axes.set_yticks(places, [f"stage {row['stage'] + 1}, {row['image_size']} px" for row in rows])
    axes.tick_params(axis="y", length=0, labelcolor=figures.INK)
    axes.spines["left"].set_visible(False)
    axes.invert_yaxis()
    axes.grid(axis="x")
    axes.set_xlabel(f"time ({name})")
    figures.legend_above(figure, axes, 5 if wide else 2)
    return figure


def time_rows(run: Run) -> list[dict[str, Any]]:
    """Return the rows of `run.stages` with `rest_seconds`: what no part of training explains."""
    rows = []
    for row in run.stages:
        parts = [row[key] for key in ("data_seconds", "compute_seconds", "optimizer_seconds")]
        known = sum(part or 0 for part in parts)
        rows.append(row | {"rest_seconds": max(0.0, row["seconds"] - known)})
    return rows


def prediction_figure(
    predicted: Sequence[float], measured: Sequence[float], width: float
) -> Figure:
    """Draw the seconds of each stage as predicted and as they came."""
    figure = figures.new(width, 0.55 * len(measured) + 1.1)
    axes = figure.subplots()
    unit, name = figures.time_unit(max(*predicted, *measured))
    places = np.arange(len(measured))
    for shift, values, colour, label in (
        (-0.19, predicted, "#c9d1da", "predicted"),
        (0.19, measured, figures.ACCENT, "measured"),
    ):
        axes.barh(places + shift, [v / unit for v in values], 0.34, color=colour, label=label)
    axes.set_yticks(places, [f"stage {place + 1}" for place in places])
    axes.tick_params(axis="y", length=0, labelcolor=figures.INK)
    axes.spines["left"].set_visible(False)
    axes.invert_yaxis()
    axes.grid(axis="x")
    axes.set_xlabel(f"time ({name})")
    figures.legend_above(figure, axes, 2)
    return figure


def _steps(
    axes: Axes,
    schedule: ProgressiveSchedule,
    values: Sequence[float | None],
    written: Sequence[str],
    label: str,
) -> None:
    """Fill steps from zero, each with its value written above it."""
    edges = [0, *(stage.stop_epoch for stage in schedule.stages)]
    heights = [value or 0 for value in values]
    axes.stairs(heights, edges, fill=True, color=figures.ACCENT, alpha=0.16, linewidth=0)
    axes.stairs(heights, edges, baseline=None, color=figures.ACCENT, linewidth=1.8)
    top = max(heights) or 1
    for stage, height, text in zip(schedule.stages, heights, written, strict=True):
        if stage.epochs * 22 < schedule.epochs:  # no room
            continue
        middle = (stage.start_epoch + stage.stop_epoch) / 2
        axes.text(middle, height + 0.05 * top, text, ha="center", va="bottom", fontsize=9)
    axes.set(ylim=(0, 1.45 * top), xlim=(0, schedule.epochs), yticks=[])
    axes.set_title(label, color=figures.SOFT, fontsize=9, pad=2)
    axes.spines["left"].set_visible(False)


def _shade(axes: Axes, run: Run, unit: float | None) -> None:
    """Shade the stages, over epochs or, where a unit is given, over time."""
    edges = [0.0]
    for stage in run.schedule.stages:
        inside = [r for r in run.epochs if r.stage == stage.index]
        if unit is None:
            edges.append(float(stage.stop_epoch))
        else:
            spent = sum(r.train_seconds + r.validation_seconds for r in inside)
            edges.append(edges[-1] + spent / unit)
    at = axes.get_xaxis_transform()
    for stage, (start, stop) in zip(run.schedule.stages, pairwise(edges), strict=True):
        alpha = 0.02 + 0.1 * (stage.index + 1) / len(run.schedule.stages)
        axes.axvspan(start, stop, color=figures.ACCENT, alpha=alpha, linewidth=0)
        if (stop - start) * 14 > edges[-1]:  # room for a size
            style: dict[str, Any] = {
                "ha": "center",
                "va": "top",
                "fontsize": 8,
                "color": figures.SOFT,
            }
            axes.text((start + stop) / 2, 0.98, f"{stage.image_size}", transform=at, **style)
    axes.set_xlim(0, edges[-1] or 1)
