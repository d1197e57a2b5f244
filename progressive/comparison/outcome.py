"""All numbers of a comparison: what `compare.json` holds, and the table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tabulate import tabulate

from progressive.comparison.curves import converged, speed_up_at_equal_quality
from progressive.comparison.results import SCORES, Result
from progressive.comparison.statistics import paired
from progressive.comparison.verdict import baseline_note, verdict
from progressive.runs.comparison_table import LABELS, rows


@dataclass(frozen=True)
class Trained:
    """An arm whose runs are finished.

    Attributes:
        runs: folder of each, in the order of the seeds.
        commands: that train them.
        results: of each.
    """

    runs: Sequence[str]
    commands: Sequence[Sequence[str]]
    results: Sequence[Result]


def outcome(
    trained: Mapping[str, Trained],
    *,
    seeds: Sequence[int],
    baseline: str,
    margin: float,
    task: str,
) -> dict[str, Any]:
    """Compare arms that were trained with the same seeds.

    An arm's speed-up is the time of all of the baseline's runs over that of its own.

    Args:
        trained: the arms by name.
        seeds: of their runs.
        baseline: what the others are compared with.
        margin: by which a score may fall short and still count as no worse.
        task: of the models, a key of `SCORES`.
    """
    metric = next(iter(SCORES[task].values()))
    arms = {name: _numbers(arm, task) for name, arm in trained.items()}
    other = trained[baseline].results
    sentences = []
    for name, arm in trained.items():
        if name == baseline:
            continue
        difference = paired(arms[name][metric], arms[baseline][metric], margin)
        speed_up = _total(other) / _total(arm.results)
        curves = [r.curve for r in arm.results], [r.curve for r in other]
        arms[name] |= {
            "speed_up": speed_up,
            "speed_up_equal_quality": speed_up_at_equal_quality(*curves),
            "difference": {**asdict(difference), "non_inferior": difference.non_inferior},
        }
        sentences.append(verdict(name, baseline, LABELS[metric], difference, speed_up))
    if note := baseline_note(baseline, arms[baseline][metric], arms[baseline]["converged"]):
        sentences.append(note)
    return {
        "baseline": baseline,
        "margin": margin,
        "metric": metric,
        "seeds": list(seeds),
        "arms": arms,
        "verdict": " ".join(sentences),
    }


def table(found: Mapping[str, Any]) -> str:
    """Draw the arms of an outcome, means over seeds."""
    return tabulate(
        rows(found), headers="keys", tablefmt="github", stralign="right", disable_numparse=True
    )


def _numbers(arm: Trained, task: str) -> dict[str, Any]:
    results = arm.results
    names = SCORES[task].values()
    return {
        "runs": list(arm.runs),
        "command": [list(command) for command in arm.commands],
        **{name: [r.last[name] for r in results] for name in names},
        **{f"best_{name}": [r.best[name] for r in results] for name in names},
        "seconds": {
            "train": [r.train_seconds for r in results],
            "validation": [r.validation_seconds for r in results],
            "total": [r.total_seconds for r in results],
        },
        "images": [r.images for r in results],
        "pixels": [r.pixels for r in results],
        "converged": [converged(r.curve) for r in results],
        "curves": [[[p.seconds, p.score] for p in r.curve] for r in results],
        "speed_up": None,
        "speed_up_equal_quality": None,
        "difference": None,
    }


def _total(results: Sequence[Result]) -> float:
    return sum(result.total_seconds for result in results)
