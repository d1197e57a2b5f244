"""When a training reaches a quality, read off the curve of its scores over time.

Scores are those of the validated epochs; nothing is interpolated between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A validated epoch.

    Attributes:
        seconds: since training began, validations included, to the end of the epoch.
        score: the one that decides, as mAP50-95 of a detector.
        epoch: how many epochs were trained then.
    """

    seconds: float
    score: float
    epoch: int


def seconds_to(target: float, curve: Sequence[Point]) -> float | None:
    """Return the seconds until `target` is reached and held to the end; None if it never is.

    A score that is reached once and lost again is not had: what counts is the last weights.

    Args:
        target: the score.
        curve: the validated epochs in order.
    """
    reached = None
    for point in reversed(curve):
        if point.score < target:
            break
        reached = point.seconds
    return reached


def speed_up_at_equal_quality(
    arms: Sequence[Sequence[Point]], baselines: Sequence[Sequence[Point]]
) -> list[float | None]:
    """Compare how long arm and baseline take to the baseline's final score, seed by seed.

    Both are timed by the same rule: a baseline that reached its final score early and held it is
    not charged for the epochs after that.

    Args:
        arms: a curve for each seed.
        baselines: a curve for each of the same seeds, none of them empty.

    Returns:
        Seconds of the baseline over seconds of the arm for each seed; None where the arm never
        gets there, or the baseline has learned nothing.
    """
    ratios: list[float | None] = []
    for arm, baseline in zip(arms, baselines, strict=True):
        target = baseline[-1].score
        own, other = seconds_to(target, baseline), seconds_to(target, arm)
        learned = target > 0  # a score of nothing is reached at once
        ratios.append(own / other if learned and own and other else None)
    return ratios


def converged(curve: Sequence[Point], gain: float = 0.01, share: float = 0.2) -> bool:
    """Tell whether the last fifth of the training gained less than 0.01.

    Args:
        curve: the validated epochs in order, validated throughout the end.
        gain: how much less than this counts as converged.
        share: of the epochs that are looked at.
    """
    if len(curve) < 2:
        return False
    early = [point for point in curve if point.epoch <= curve[-1].epoch * (1 - share)]
    before = early[-1] if early else curve[0]
    return curve[-1].score - before.score < gain
