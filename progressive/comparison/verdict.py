"""What follows from a comparison, in a sentence for each arm."""

from __future__ import annotations

from collections.abc import Sequence

from progressive.comparison.statistics import Difference

#: Numbers that are written out.
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def verdict(
    arm: str, baseline: str, metric: str, difference: Difference, speed_up: float | None
) -> str:
    """Say what is known of an arm against the baseline.

    Args:
        arm: its name.
        baseline: its name.
        metric: what people call the score.
        difference: of the scores.
        speed_up: seconds of the baseline over those of the arm.
    """
    pace = _pace(arm, baseline, speed_up)
    seeds = len(difference.values)
    if seeds > 1 and difference.low is None:
        return (
            f"{pace}; all {_word(seeds)} seeds differ by {difference.mean:+.3f} {metric}, which "
            "says nothing of chance: give more seeds."
        )
    if difference.low is None or difference.high is None:
        return (
            f"{pace}; one seed can tell nothing about its {metric} "
            f"({difference.mean:+.3f} here): give more seeds."
        )
    shown = (
        f"{difference.mean:+.3f} {metric}, 95 % interval {difference.low:+.3f} to "
        f"{difference.high:+.3f}, {_word(seeds)} seeds"
    )
    margin = f"{difference.margin:g}"
    if difference.low > 0:
        return f"{pace} and is better ({shown})."
    if difference.non_inferior:
        return f"{pace} and is no worse by more than {margin} ({shown})."
    if difference.high < 0:
        more = " by more than the margin" if difference.high < -difference.margin else ""
        return f"{pace} but is worse{more} ({shown})."
    return f"{pace}; whether it is as good is open ({shown}): {_what_would_do(difference)}."


def baseline_note(baseline: str, scores: Sequence[float], converged: Sequence[bool]) -> str | None:
    """Say that a baseline has learned nothing, or was still learning; None if all is well."""
    if not any(scores):
        return f"{baseline} has learned nothing, so nothing follows: give it more epochs."
    open_ones = converged.count(False)
    if not open_ones:
        return None
    count = len(converged)
    which = f" with {_word(open_ones)} of {_word(count)} seeds" if count > 1 else ""
    return (
        f"{baseline} had not converged{which} (its last fifth gained 0.01 or more): more epochs "
        "may change the result."
    )


def _what_would_do(difference: Difference) -> str:
    seeds, needed = len(difference.values), difference.seeds_needed
    told = f"{_word(seeds)} seeds cannot tell a difference under {difference.detectable:.2g}"
    if needed is None:
        return f"{told}, and a thousand could not tell {difference.margin:g}"
    if needed <= seeds:  # the difference itself lies near the margin
        return f"its difference lies too near to the margin of {difference.margin:g}"
    return f"{told}; {needed} could tell {difference.margin:g}"


def _pace(arm: str, baseline: str, speed_up: float | None) -> str:
    if speed_up is None:
        return f"{arm} against {baseline}"
    if 0.95 <= speed_up <= 1.05:
        return f"{arm} takes as long as {baseline}"
    if speed_up < 1:
        return f"{arm} takes {1 / speed_up:.2f} times as long as {baseline}"
    return f"{arm} is {speed_up:.2f} times as fast as {baseline}"


def _word(number: int) -> str:
    return WORDS[number] if number < len(WORDS) else str(number)
