"""What paired runs can tell: differences seed by seed, their interval, a test, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

#: Level of intervals and tests, and the power a comparison should have.
CONFIDENCE, POWER = 0.95, 0.8

#: Differences that spread less than this are equal but for rounding.
SAME = 1e-12

#: More seeds than this are not counted.
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Difference:
    """An arm's scores less the baseline's, paired by seed.

    Attributes:
        values: one for each seed.
        mean: of the values.
        low: lower end of the 95 % interval of the mean, by Student's t; None for one seed, and
            where all seeds differ by the same, which says nothing of chance.
        high: upper end.
        bootstrap_low: lower end of the 95 % percentile interval of the mean over resampled seeds.
            With fewer than ten seeds it is too narrow, so no verdict rests on it.
        bootstrap_high: upper end.
        p_value: of the paired t-test, two-sided; None for one seed or equal differences.
        margin: by which an arm may fall short and still count as no worse.
        non_inferior_p: of the one-sided test that the mean lies above `-margin`.
        detectable: smallest true difference that this many seeds would find with a power of 0.8.
        seeds_needed: how many seeds would find one of the size of `margin`.
    """

    values: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    bootstrap_low: float | None
    bootstrap_high: float | None
    p_value: float | None
    margin: float
    non_inferior_p: float | None
    detectable: float | None
    seeds_needed: int | None

    @property
    def non_inferior(self) -> bool | None:
        """Whether the whole interval lies above `-margin`; None where nothing can be shown."""
        level = (1 - CONFIDENCE) / 2  # one-sided, so that test and interval agree
        return None if self.non_inferior_p is None else self.non_inferior_p < level


def paired(scores: Sequence[float], baseline: Sequence[float], margin: float) -> Difference:
    """Compare two arms that were trained with the same seeds.

    Args:
        scores: of the arm, one for each seed.
        baseline: of the baseline, in the same order.
        margin: above 0.
    """
    values = np.subtract(scores, baseline, dtype=np.float64)
    count, mean = len(values), float(values.mean())
    spread = float(values.std(ddof=1)) if count > 1 else 0.0
    if spread < SAME and (count < 2 or abs(mean) >= SAME):
        # Accuracy on a few images has so few values that equal differences happen.
        unknown = (None,) * 5
        return Difference(tuple(values.tolist()), mean, *unknown, margin, None, None, None)
    if spread < SAME:  # the arms are the same: nothing is left to chance
        return Difference(
            tuple(values.tolist()), mean, mean, mean, mean, mean, None, margin, 0.0, 0.0, 2
        )
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1)) * spread / math.sqrt(count)
    resampled = stats.bootstrap(
        (values,), np.mean, confidence_level=CONFIDENCE, method="percentile", rng=0
    ).confidence_interval
    return Difference(
        values=tuple(values.tolist()),
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        bootstrap_low=float(resampled.low),
        bootstrap_high=float(resampled.high),
        p_value=float(stats.ttest_rel(scores, baseline).pvalue),
        margin=margin,
        non_inferior_p=float(stats.ttest_1samp(values, -margin, alternative="greater").pvalue),
        detectable=detectable(spread, count),
        seeds_needed=seeds_needed(spread, margin),
    )


def power(difference: float, spread: float, seeds: int) -> float:
    """Return the chance that a paired t-test finds a true difference.

    Args:
        difference: of the means, above 0.
        spread: standard deviation of the paired differences, above 0.
        seeds: at least 2.
    """
    critical = stats.t.ppf(0.5 + CONFIDENCE / 2, seeds - 1)
    shift = difference / spread * math.sqrt(seeds)
    # The other tail, which would name the wrong winner, adds next to nothing.
    return float(stats.nct.sf(critical, seeds - 1, shift))


def detectable(spread: float, seeds: int) -> float:
    """Return the smallest true difference that is found with a power of 0.8, by bisection."""
    low, high = 0.0, spread
    while power(high, spread, seeds) < POWER:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, spread, seeds) < POWER else (low, middle)
    return high


def seeds_needed(spread: float, difference: float) -> int | None:
    """Return the fewest seeds that find `difference` with a power of 0.8; None above 1,000."""
    for seeds in range(2, MOST_SEEDS + 1):
        if power(difference, spread, seeds) >= POWER:
            return seeds
    return None
