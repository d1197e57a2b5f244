"""What a report says: records turned into the words, tables and numbers of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import fmean
from typing import Any

from progressive.cost import relative_cost
from progressive.runs import comparison_table
from progressive.runs.comparison import Arm, data_table, differences, written
from progressive.runs.comparison_table import interval
from progressive.runs.environment import PACKAGES
from progressive.runs.load import Run, is_number
from progressive.runs.records import plan
from progressive.runs.report import METRICS, duration
from progressive.schedule import KNOBS, ProgressiveSchedule

#: Where a prediction comes from, for people.
SOURCES = {"first epoch": "the first epoch, by pixels", "probe": "a few measured steps"}


def run(run: Run) -> dict[str, Any]:
    """Return what the page of a run says beside its pictures."""
    sampled = any(
        found.get("sampled")
        for part in ("train", "val")
        for found in run.data.get(part, {}).values()
    )
    return {
        "title": run.folder.name,
        "subtitle": subtitle(run),
        "finished": run.summary is not None,
        "key_figures": key_figures(run),
        "pixel_cost": f"{relative_cost(run.schedule):.2f}",
        "stages": stage_rows(run),
        "command": command(run),
        "environment": [{"what": name, "value": value} for name, value in environment(run).items()],
        "data": data_rows_of_run(run),
        "remarks": run.remarks,
        "sampled": sampled,
        "config": run.config_text,
        "version": version(),
    }


def subtitle(run: Run) -> str:
    """Say in a line what was trained."""
    get = run.config.get
    stages = len(run.schedule.stages)
    parts = [f"{run.schedule.epochs} epochs in {stages} stage{'s' if stages > 1 else ''}"]
    if get("backbone.name"):
        head = (
            "Classifier" if get("task") == "classify" else f"{get('head.name')}{get('head.scale')}"
        )
        parts = [
            f"{head} with {get('backbone.name')}",
            f"data {Path(str(get('data'))).name}",
            *parts,
        ]
    elif get("model"):
        parts = [Path(str(get("model"))).name, f"data {Path(str(get('data'))).name}", *parts]
    return ", ".join(parts)


def key_figures(run: Run) -> list[tuple[str, str, str]]:
    """Return the numbers at the top of the page: name, value, explanation."""
    found = [(METRICS[name], score(value), "") for name, value in run.metrics.items()
             if name in METRICS]  # fmt: skip
    found.sort(key=lambda item: item[0] != METRICS.get(run.primary or ""))
    seconds = "whole run" if run.summary is not None else "so far"
    first, last = run.schedule.stages[0].image_size, run.schedule.image_size
    sizes = f"{first} → {last} px" if first != last else f"{last} px"
    return [
        *found[:2],
        ("Time", duration(run.seconds), seconds),
        (
            "Image size",
            sizes,
            f"{relative_cost(run.schedule):.0%} of the pixels of {last} px throughout",
        ),
    ]


def stage_rows(run: Run) -> list[dict[str, str]]:
    """Return a table with a row for each stage that has begun."""
    used = [knob for knob in KNOBS if run.schedule.uses(knob.name)]
    return [
        {
            "stage": f"{row['stage'] + 1}",
            "epochs": f"{row['start_epoch'] + 1}-{row['stop_epoch']}",
            "size": f"{row['image_size']} px",
            **{knob.label: knob.written(row[knob.name]) for knob in used},
            "training": duration(row["seconds"]),
            "images/s": f"{row['images_per_second']:.1f}",
            **{label: score(row[key]) for key, label in METRICS.items() if key in row},
        }
        for row in run.stages
    ]


def environment(run: Run) -> dict[str, str]:
    """Return what a run ran on, by name."""
    found = run.environment
    if not found:
        return {}
    packages = found.get("packages")
    packages = packages if isinstance(packages, dict) else {}
    gpus = found.get("gpus")
    gpus = gpus if isinstance(gpus, list) else []
    rows = {
        "seed": written(found.get("seed")),
        "processor": f"{found.get('processor')}, {found.get('cores')} cores",
        "GPU": ", ".join(map(str, gpus)) or "none used",
        "system": written(found.get("system")),
        "Python": written(found.get("python")),
    }
    return rows | {name: written(value) for name, value in packages.items()}


def command(run: Run) -> str | None:
    """Return the command that trained a run, if it is known."""
    found = run.environment.get("command")
    return found if isinstance(found, str) else None


def data_rows_of_run(run: Run) -> list[dict[str, str]]:
    """Return a table of the fingerprints of a run's data."""
    return [
        {
            "part": f"{part} {kind}",
            "files": f"{found.get('files')}",
            "hash": f"{found.get('hash')}{' (sampled)' if found.get('sampled') else ''}",
        }
        for part in ("train", "val")
        for kind, found in run.data.get(part, {}).items()
    ]


def time_words(run: Run) -> str:
    """Say what the picture of times shows."""
    known = any(record.data_seconds is not None for record in run.epochs)
    words = "" if known else "The parts of training were not recorded. "
    if run.environment.get("gpus"):
        words += (
            "Times of the host: a GPU works on behind it, and the host waits for it where the loss "
            "is written, so most of the optimizer's work counts as forward and backward. "
        )
    total = sum(r.train_seconds + r.validation_seconds for r in run.epochs)
    total += (run.summary or {}).get("seconds", {}).get("probe", 0.0)
    if run.summary is not None and run.seconds > total:
        words += f"Set-up and the last evaluation took another {duration(run.seconds - total)}."
    return words


def prediction(run: Run) -> dict[str, Any] | None:
    """Return the words about `prediction` in the summary, and seconds per stage; None without."""
    found = (run.summary or {}).get("prediction")
    if not isinstance(found, dict) or not is_number(found.get("total")):
        return None
    source = SOURCES.get(str(found.get("source")), "the schedule")
    total, measured = float(found["total"]), found.get("measured_total")
    took = float(measured) if measured is not None and is_number(measured) else run.seconds
    off = f" ({total / took - 1:+.0%})" if took > 0 else ""
    predicted = found.get("stages")
    predicted = predicted if isinstance(predicted, list) else []
    if not all(map(is_number, predicted)):
        predicted = []
    return {
        "words": f"From {source}, {duration(total)} were predicted{off}; it took {duration(took)}.",
        "stages": (predicted, [row["seconds"] for row in run.stages]),
    }


def schedule_words(schedule: ProgressiveSchedule) -> str:
    """Describe a schedule for those who do not see its picture."""
    return "Steps: " + "; ".join(
        f"epochs {stage.start_epoch + 1}-{stage.stop_epoch} at {stage.image_size} px"
        for stage in schedule.stages
    )


def score_words(run: Run) -> str:
    """Describe the scores for those who do not see their picture."""
    if not run.primary:
        return ""
    trained, _, values = run.curve(run.primary)
    points = zip(trained, values, strict=True)
    return f"{METRICS[run.primary]}: " + ", ".join(f"{v:.3f} after {n} epochs" for n, v in points)


def score_caption(baseline: Run | None) -> str:
    """Say what the picture of the scores shows."""
    words = (
        "Every validation is at the final size, so the stages can be compared. Stages are shaded, "
        "with their image size at the top."
    )
    return f"{words} The dashed line is {baseline.folder.name}." if baseline else words


def sheets(run: Run, kind: str, what: str) -> list[tuple[Path, str]]:
    """Return the sheets of a kind, each with its words."""
    paths = {path.stem: path for path in run.pictures(kind)}
    found = []
    for stage in run.schedule.stages:
        if path := paths.get(f"{kind}-{stage.index + 1}"):
            when = "" if kind == "train" else f" after epoch {stage.stop_epoch}"
            size = f"{stage.image_size} px" if kind == "train" else what
            found.append((path, f"Stage {stage.index + 1}, {size}{when}"))
    if kind in paths:
        found.append((paths[kind], what.capitalize()))
    return found


def comparison_subtitle(arms: Sequence[Arm]) -> str:
    """Say in a line what is compared."""
    count = sum(len(arm.runs) for arm in arms)
    baseline = [arm.name for arm in arms if arm.baseline]
    words = (
        f"{count} run{'s' if count != 1 else ''} of {len(arms)} kind{'s' if len(arms) != 1 else ''}"
    )
    return words + (f"; the baseline is {baseline[0]}" if baseline and len(arms) > 1 else "")


def arm_rows(arms: Sequence[Arm]) -> list[dict[str, str]]:
    """Return a table with a row for each arm."""
    baseline = next((arm for arm in arms if arm.baseline), None)
    paired = any(arm.difference for arm in arms)
    names = [name for name in METRICS if any(name in run.metrics for a in arms for run in a.runs)]
    primary = next((run.primary for arm in arms for run in arm.runs if run.primary), None)
    rows = []
    for arm in arms:
        spread = f" ± {arm.spread:.3f}" if arm.spread is not None else ""
        row = {"": arm.name, "runs": f"{len(arm.runs)}"}
        row[METRICS[primary] if primary else "score"] = score(arm.score) + spread
        for name in names:
            if name != primary:
                row[METRICS[name]] = score(_mean([run.last(name) for run in arm.finished]))
        row[f"best {METRICS[primary]}" if primary else "best"] = score(
            _mean([run.score for run in arm.finished])
        )
        row["time"] = duration(arm.seconds)
        if baseline and len(arms) > 1:
            known = arm.seconds and not arm.baseline
            row["speed-up"] = f"{baseline.seconds / arm.seconds:.2f}" if known else "-"
        if paired:
            row["difference"] = interval(arm.difference)
        rows.append(row)
    return rows


def differences_words(arms: Sequence[Arm], margin: float | None) -> str:
    """Say what the picture of differences shows."""
    words = (
        "Grey dots are the differences of single seeds, of the last weights; the diamond is their "
        "mean, the line its interval."
    )
    if margin is None or not arms:
        return words
    line = (
        f"The dashed line is the margin of {margin:g}: an interval to the right of it is no worse."
    )
    return f"{words} {line}"


def run_row(run: Run) -> dict[str, str]:
    """Return a run's row in the table of runs."""
    return {
        "run": f"{run.folder.parent.name}/{run.folder.name}",
        "seed": written(run.environment.get("seed", run.config.get("seed"))),
        METRICS[run.primary] if run.primary else "score": score(run.last(run.primary)),
        "time": duration(run.seconds),
        "epochs": f"{len(run.epochs)}/{run.schedule.epochs}",
        "state": "finished" if run.summary is not None else "not finished",
    }


def detail_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the table that `progressive.compare` prints; none without a whole `compare.json`."""
    try:
        return comparison_table.rows(found)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return []  # StatisticsError is a ValueError


def settings_rows(arms: Sequence[Arm]) -> list[dict[str, str]]:
    """Return a table of the settings in which arms differ."""
    different = differences([run for arm in arms for run in arm.runs])

    def value(key: str, run: Run) -> str:
        return written(run.config.get(key))

    return [{"setting": key, **_columns(arms, partial(value, key))} for key in different]


def data_rows(arms: Sequence[Arm]) -> list[dict[str, str]]:
    """Return a table of the data of each arm."""
    return [
        {"part": part, **dict(zip(_names(arms), row, strict=True))}
        for part, row in data_table(arms).items()
    ]


def data_words(table: Mapping[str, Sequence[str]]) -> str:
    """Say whether all runs saw the same data."""
    seen = [{cell for cells in row for cell in cells.split("; ")} for row in table.values()]
    if any(len(cells - {"-"}) > 1 for cells in seen):
        return "The runs did not all see the same data."
    if any("-" in cells for cells in seen):
        return "Not every run has recorded what data it saw."
    return "All runs saw the same data." if seen else ""


def environment_rows(arms: Sequence[Arm]) -> list[dict[str, str]]:
    """Return a table of what each arm ran on."""
    names = list(dict.fromkeys(name for a in arms for r in a.runs for name in environment(r)))

    def value(name: str, run: Run) -> str:
        return environment(run).get(name, "-")

    return [{"": name, **_columns(arms, partial(value, name))} for name in names if name != "seed"]


def records(run: Run) -> dict[str, Any]:
    """Return all records of a run, as they go into the page."""
    return {
        "folder": run.folder.name,
        "plan": plan(run.schedule),
        "epochs": [asdict(record) for record in run.epochs],
        "summary": run.summary,
        "config": run.config_text,
        "environment": run.environment,
        "data": run.data,
    }


def version() -> str:
    """Return the version of this program; nothing where it is not installed."""
    try:
        return metadata.version(PACKAGES["progressive"])
    except metadata.PackageNotFoundError:
        return ""


def score(value: float | None) -> str:
    """Write a metric for people."""
    return "-" if value is None else f"{value:.3f}"


def _columns(arms: Sequence[Arm], cell: Callable[[Run], str]) -> dict[str, str]:
    """Return what `cell` says of each arm, by its name: all values that its runs have."""
    values = (", ".join(dict.fromkeys(cell(run) for run in arm.runs)) for arm in arms)
    return dict(zip(_names(arms), values, strict=True))


def _names(arms: Sequence[Arm]) -> list[str]:
    return [arm.name for arm in arms]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
