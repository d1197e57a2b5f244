"""Several runs side by side: which belong together, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from progressive.errors import InputError
from progressive.runs.load import COMPARE, Run, is_number, load_run, read_json

#: Where a run is kept, computed and followed, which says nothing of what is trained.
PLACES = {
    *("seed", "output", "resume", "dry_run", "device"),
    *("log", "price_per_hour", "save_minutes", "track"),
}

#: Settings that make no other training of the same kind.
ASIDE = PLACES | {"workers"}

#: A name made of settings is no longer than this.
LONGEST = 48


@dataclass(frozen=True)
class Arm:
    """Runs that differ in their seeds only.

    Attributes:
        name: what the runs have in common, or what the user calls it.
        runs: at least one.
        baseline: whether the others are compared with it.
        difference: to the baseline, paired by seed, as `compare.json` has it; empty if unknown.
    """

    name: str
    runs: Sequence[Run]
    baseline: bool = False
    difference: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scores(self) -> list[float]:
        """The score of the last weights of each finished run."""
        found = [run.last(run.primary) for run in self.finished]
        return [score for score in found if score is not None]

    @property
    def finished(self) -> Sequence[Run]:
        """The runs that are finished, or all if none is."""
        return [run for run in self.runs if run.summary is not None] or self.runs

    @property
    def score(self) -> float | None:
        """The mean of `scores`."""
        return fmean(self.scores) if self.scores else None

    @property
    def spread(self) -> float | None:
        """The standard deviation of `scores`; None for less than two."""
        return stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def seconds(self) -> float:
        """The mean time of a finished run."""
        return fmean(run.seconds for run in self.finished)


def group(runs: Sequence[Run]) -> list[Arm]:
    """Put runs together that differ in their seeds only; the first arm is the baseline."""
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        settings = [(key, repr(v)) for key, v in sorted(run.config.items()) if key not in ASIDE]
        groups.setdefault(tuple(settings) or run.folder, []).append(run)
    varying = {
        key
        for key, values in differences([found[0] for found in groups.values()]).items()
        if values
    } - ASIDE
    arms: list[Arm] = []
    for found in groups.values():
        words = " ".join(f"{key}={written(found[0].config.get(key))}" for key in sorted(varying))
        name = words if words and len(words) <= LONGEST else found[0].folder.name
        if name in {arm.name for arm in arms}:
            name = f"{name} ({found[0].folder.parent.name}/{found[0].folder.name})"
        arms.append(Arm(name, found, baseline=not arms))
    return arms


def compared(folder: Path) -> tuple[list[Arm], dict[str, Any]]:
    """Read the arms that `compare.json` in a comparison's folder names, and the file itself.

    Raises:
        InputError: the file is damaged or a run is missing.
    """
    path = folder / COMPARE
    found = read_json(path)
    arms, baseline = found.get("arms"), found.get("baseline")
    if not isinstance(arms, dict) or not arms:
        raise InputError(f"{path}: names no arms")
    result = []
    for name, arm in arms.items():
        places = arm.get("runs") if isinstance(arm, dict) else None
        if not isinstance(places, list) or not places:
            raise InputError(f"{path}: arm {name} names no runs")
        runs = [load_run(folder / str(place)) for place in places]
        difference = arm.get("difference") or {}
        if not isinstance(difference, dict):
            raise InputError(f"{path}: the difference of arm {name} is no JSON object")
        result.append(Arm(name, runs, name == baseline, _checked(path, name, difference)))
    return sorted(result, key=lambda arm: not arm.baseline), found


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return the settings in which `runs` differ: the value of each run by key."""
    keys = sorted({key for run in runs for key in run.config} - {"output", "seed"})
    table = {key: [run.config.get(key) for run in runs] for key in keys}
    return {key: values for key, values in table.items() if len({*map(repr, values)}) > 1}


def data_table(arms: Sequence[Arm]) -> dict[str, list[str]]:
    """Return what is known of the data of each arm, by row: part, kind, number and hash."""
    rows: dict[str, list[str]] = {}
    for place, arm in enumerate(arms):
        for part in ("train", "val"):
            for kind in ("images", "labels"):
                cells = {describe(run.data.get(part, {}).get(kind)) for run in arm.runs}
                row = rows.setdefault(f"{part} {kind}", ["-"] * len(arms))
                row[place] = "; ".join(sorted(cells))
    return {name: row for name, row in rows.items() if {*row} != {"-"}}


def describe(found: Mapping[str, Any] | None) -> str:
    """Write a fingerprint for people."""
    if not found:
        return "-"
    sampled = " (sampled)" if found.get("sampled") else ""
    return f"{found.get('files')} files, {str(found.get('hash'))[:12]}{sampled}"


def written(value: Any) -> str:
    """Write a setting as its user would."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (seconds, score) that no other point beats in both, by time."""
    front: list[tuple[float, float]] = []
    for seconds, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or score > front[-1][1]:
            front.append((seconds, score))
    return front


def _checked(path: Path, name: str, difference: Mapping[str, Any]) -> Mapping[str, Any]:
    values = difference.get("values", [])
    known = [difference.get(key) for key in ("mean", "low", "high")]
    numbers = [*values, *known] if isinstance(values, list) else [""]
    if not all(number is None or is_number(number) for number in numbers):
        raise InputError(f"{path}: the difference of arm {name} has values that are no numbers")
    return difference
