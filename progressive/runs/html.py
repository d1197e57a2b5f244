"""Write `report.html`: one page that needs nothing beside it, from the records of runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from progressive.errors import InputError
from progressive.runs import comparison_figures, run_figures, view
from progressive.runs.comparison import Arm, compared, data_table, group
from progressive.runs.figures import Picture, photograph, picture
from progressive.runs.load import COMPARE, PICTURES, Run, find_runs, is_run, load_run
from progressive.runs.records import write_text

REPORT = "report.html"


def write_report(folder: Path, baseline: Path | None = None) -> Path:
    """Write the report of a run, or of all runs of a comparison or a sweep, into its folder.

    Args:
        folder: of a run, or one that holds runs.
        baseline: a run to draw beside that of `folder`.

    Returns:
        The page.

    Raises:
        InputError: there are no runs, or a record is damaged; then nothing is written.
    """
    folder = Path(folder).expanduser().absolute()
    if is_run(folder):
        return _write_run(load_run(folder), load_run(baseline) if baseline else None)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if (folder / COMPARE).is_file():
        arms, found = compared(folder)
        return _write_comparison(arms, folder, found)
    runs = [load_run(run) for run in find_runs(folder)]
    if not runs:
        raise InputError(f"{folder}: has no plan.json, and no folder in it has: there are no runs")
    # Training at one size is what the others are measured against, if there is such a run.
    return _write_comparison(group(sorted(runs, key=_in_stages)), folder, {})


def write_comparison(folders: Sequence[Path], output: Path) -> Path:
    """Write the report of several runs into the folder `output`; as `write_report` otherwise.

    The first run, with those that differ from it in their seeds only, is the baseline.
    """
    return _write_comparison(group([load_run(folder) for folder in folders]), output, {})


def _in_stages(run: Run) -> bool:
    return len(run.schedule.stages) > 1


def _write_run(run: Run, baseline: Run | None) -> Path:
    pictures = run.folder / PICTURES
    pictures.mkdir(exist_ok=True)
    validated = any(value is not None for r in run.epochs for value in r.metrics.values())
    rows = run_figures.time_rows(run)
    return _write(
        run.folder / REPORT,
        "run.html",
        **view.run(run),
        records=view.records(run),
        schedule=picture(
            pictures,
            "schedule",
            view.schedule_words(run.schedule),
            partial(run_figures.schedule_figure, run.schedule),
        ),
        score=picture(
            pictures,
            "quality",
            view.score_words(run),
            partial(run_figures.score_figure, run, baseline),
        )
        if validated
        else None,
        time=picture(
            pictures,
            "time",
            "Bars: seconds of each stage by what they were spent on",
            partial(run_figures.time_figure, rows),
        )
        if rows
        else None,
        score_caption=view.score_caption(baseline),
        time_caption=view.time_words(run),
        prediction=_prediction(run, pictures),
        train_sheets=[
            (photograph(path, f"Training images: {words}"), words)
            for path, words in view.sheets(run, "train", "labels of training images")
        ],
        found_sheets=[
            (photograph(path, f"Validation images: {words}"), words)
            for kind, words in (("found", "predictions"), ("labels", "labels"))
            for path, words in view.sheets(run, kind, words)
        ],
    )


def _prediction(run: Run, folder: Path) -> dict[str, Any] | None:
    found = view.prediction(run)
    if found is None:
        return None
    predicted, measured = found.pop("stages")
    drawn: Picture | None = None
    if len(predicted) == len(measured) and measured:
        figure = partial(run_figures.prediction_figure, predicted, measured)
        drawn = picture(folder, "prediction", found["words"], figure)
    return {**found, "picture": drawn}


def _write_comparison(arms: Sequence[Arm], output: Path, found: Mapping[str, Any]) -> Path:
    runs = [run for arm in arms for run in arm.runs]
    metric = next((run.primary for run in runs if run.primary), None)
    pictures = output / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Picture | None] = {"pareto": None, "curves": None, "differences": None}
    if metric and any(run.last(metric) is not None for arm in arms for run in arm.finished):
        figure = partial(comparison_figures.pareto_figure, arms, metric)
        drawn["pareto"] = picture(pictures, "pareto", "Score of each run against its time", figure)
    if metric and any(run.curve(metric)[0] for run in runs):
        figure = partial(comparison_figures.curves_figure, arms, metric)
        drawn["curves"] = picture(pictures, "curves", "Score of each run while it trains", figure)
    paired = [arm for arm in arms if arm.difference]
    margin = found.get("margin")
    margin = margin if isinstance(margin, (int, float)) else None
    if paired:
        figure = partial(comparison_figures.differences_figure, paired, margin)
        words = "Difference of each arm to the baseline, with its interval"
        drawn["differences"] = picture(pictures, "differences", words, figure)
    colours = comparison_figures.colours(arms)
    return _write(
        output / REPORT,
        "comparison.html",
        title=output.absolute().name,
        subtitle=view.comparison_subtitle(arms),
        verdict=str(found.get("verdict") or ""),
        differences_caption=view.differences_words(paired, margin),
        arms=[
            {"colour": colour, "cells": cells}
            for colour, cells in zip(colours, view.arm_rows(arms), strict=True)
        ],
        has_baseline=any(arm.baseline for arm in arms),
        runs=[{"link": _link(output, run), "cells": view.run_row(run)} for run in runs],
        settings=view.settings_rows(arms),
        data=view.data_rows(arms),
        data_words=view.data_words(data_table(arms)),
        commands=_commands(runs, found),
        details=view.detail_rows(found),
        environments=view.environment_rows(arms),
        version=view.version(),
        records={"comparison": dict(found), "runs": [view.records(run) for run in runs]},
        **drawn,
    )


def _commands(runs: Sequence[Run], found: Mapping[str, Any]) -> list[str]:
    """Return what trains the runs again: the comparison, or each by itself."""
    arguments = found.get("arguments")
    if isinstance(arguments, list):
        return [shlex.join(["python", "-m", "progressive.compare", *map(str, arguments)])]
    return list(dict.fromkeys(words for run in runs if (words := view.command(run))))


def _link(output: Path, run: Run) -> str | None:
    page = run.folder / REPORT
    if not page.is_file():
        return None
    return quote(Path(os.path.relpath(page, output.absolute())).as_posix())


def _write(path: Path, template: str, **values: Any) -> Path:
    environment = Environment(
        loader=PackageLoader("progressive.runs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template(template).render(**values))
    return path
