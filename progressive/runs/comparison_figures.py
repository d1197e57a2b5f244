"""The figures about several runs: curves, what was reached in what time, paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from progressive.runs import figures
from progressive.runs.comparison import Arm, pareto
from progressive.runs.report import METRICS

BASELINE = "#68727d"
COLOURS = (figures.ACCENT, "#d9730d", "#1a9a6c", "#8250df", "#c4377e", "#8c6d1f", "#0e8a9e")


def colours(arms: Sequence[Arm]) -> list[str]:
    """Return a colour for each arm; grey for the baseline."""
    rest = cycle(COLOURS)
    return [BASELINE if arm.baseline else next(rest) for arm in arms]


def curves_figure(arms: Sequence[Arm], metric: str, width: float) -> Figure:
    """Draw a metric of every run against epochs and against time."""
    figure, (over_epochs, over_time) = figures.panels(width, 3.1, 2)
    unit, name = figures.time_unit(max(run.seconds for arm in arms for run in arm.runs))
    for arm, colour in zip(arms, colours(arms), strict=True):
        style: dict[str, Any] = {
            "color": colour,
            "linewidth": 1.6,
            "linestyle": "--" if arm.baseline else "-",
            "alpha": 1.0 if len(arm.runs) == 1 else 0.7,
            "marker": "o",
            "markersize": 2.5,
            "clip_on": False,
            "zorder": 3,
        }
        for run in arm.runs:
            trained, seconds, values = run.curve(metric)
            if not values:  # Matplotlib finds no room for lines without a point
                continue
            over_epochs.plot(trained, values, **style)
            over_time.plot([each / unit for each in seconds], values, **style)
    over_epochs.set(xlabel="epochs trained", ylabel=METRICS[metric])
    over_time.set_xlabel(f"time of training and validation ({name})")
    figures.whole_numbers(over_epochs)
    for axes in (over_epochs, over_time):
        axes.grid(axis="y")
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
    _legend(figure, arms, width)
    return figure


def pareto_figure(arms: Sequence[Arm], metric: str, width: float) -> Figure:
    """Draw what each run reached against its time, and the front that no run beats."""
    figure = figures.new(width, 3.4)
    axes = figure.subplots()
    found = [[(run.seconds, run.last(metric)) for run in arm.finished] for arm in arms]
    points = [(t, score) for arm in found for t, score in arm if score is not None]
    unit, name = figures.time_unit(max(seconds for seconds, _ in points))
    front = pareto(points)
    axes.step(
        [seconds / unit for seconds, _ in front],
        [score for _, score in front],
        where="post",
        color=figures.LINE,
        linewidth=6,
        zorder=1,
        solid_capstyle="round",
    )
    for arm, runs, colour in zip(arms, found, colours(arms), strict=True):
        reached = [(seconds / unit, score) for seconds, score in runs if score is not None]
        if not reached:
            continue
        shape = "s" if arm.baseline else "o"
        seconds, scores = zip(*reached, strict=True)
        style: dict[str, Any] = {"edgecolors": "white", "linewidths": 0.8, "zorder": 3}
        axes.scatter(seconds, scores, s=46, color=colour, marker=shape, **style)
    axes.set(xlabel=f"time of the whole run ({name})", ylabel=METRICS[metric])
    axes.set_xlim(left=0)
    axes.margins(0.08)
    axes.grid()
    _legend(figure, arms, width)
    return figure


def differences_figure(arms: Sequence[Arm], margin: float | None, width: float) -> Figure:
    """Draw the difference of each arm to the baseline: a dot per seed, mean and interval."""
    figure = figures.new(width, 0.62 * len(arms) + 1.0)
    axes = figure.subplots()
    axes.axvline(0, color=figures.INK, linewidth=0.9)
    if margin:
        axes.axvline(-margin, color="#d9730d", linewidth=1.2, linestyle=(0, (4, 3)))
        at = axes.get_xaxis_transform()
        axes.text(-margin, 1.01, "margin", transform=at, ha="center", va="bottom",
                  color="#d9730d", fontsize=8)  # fmt: skip
    for place, arm in enumerate(arms):
        found = arm.difference
        low, high, mean = found.get("low"), found.get("high"), found.get("mean")
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=figures.ACCENT, linewidth=2.4)
        values = [value for value in found.get("values", []) if value is not None]
        axes.scatter(
            values, [place + 0.2] * len(values), 20, color=BASELINE, alpha=0.7, linewidths=0
        )
        if mean is not None:
            axes.plot(mean, place, "D", color=figures.ACCENT, markersize=7, markeredgecolor="white")
    axes.set_yticks(range(len(arms)), [_short(arm.name, width) for arm in arms])
    axes.tick_params(axis="y", length=0, labelcolor=figures.INK)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("difference to the baseline, same seeds")
    axes.locator_params(axis="x", nbins=8 if width >= figures.WIDE else 4)
    axes.grid(axis="x")
    return figure


def _legend(figure: Figure, arms: Sequence[Arm], width: float) -> None:
    """Name the arms above the axes; what does not fit is left to the table."""
    wide = width >= figures.WIDE
    shown = list(islice(zip(arms, colours(arms), strict=True), 12 if wide else 8))
    handles = [
        Line2D(
            [],
            [],
            color=colour,
            marker="s" if arm.baseline else "o",
            linestyle="",
            label=_short(arm.name, width),
        )
        for arm, colour in shown
    ]
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), int((100 if wide else 44) / (longest + 4))))
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, handletextpad=0.2)


def _short(name: str, width: float) -> str:
    room = 48 if width >= figures.WIDE else 26
    return name if len(name) <= room else f"{name[: room - 1]}…"
