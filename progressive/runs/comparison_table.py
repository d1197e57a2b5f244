"""The table of a comparison, from what `compare.json` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median_low
from typing import Any

from progressive.runs.report import METRICS, duration

#: What people call the scores of `compare.json`.
LABELS = {
    "mask_map50_95": METRICS["mask_mAP50_95"],
    "mask_map50": METRICS["mask_mAP50"],
    "pose_map50_95": METRICS["pose_mAP50_95"],
    "pose_map50": METRICS["pose_mAP50"],
    "map50_95": METRICS["mAP50_95"],
    "map50": METRICS["mAP50"],
    "accuracy": METRICS["accuracy_top1"],
    "miou": METRICS["mIoU"],
}


def rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a row for each arm, means over seeds; scores are of the last weights.

    Args:
        found: as `progressive.comparison.outcome` makes it. Anything else raises KeyError,
            TypeError, ValueError or AttributeError.
    """
    return [_row(name, arm, found["metric"]) for name, arm in found["arms"].items()]


def _row(name: str, arm: Mapping[str, Any], metric: str) -> dict[str, str]:
    seconds = arm["seconds"]
    scores = [key for key in LABELS if key in arm]
    return {
        "arm": name,
        **{LABELS[key]: f"{fmean(arm[key]):.3f}" for key in scores},
        f"best {LABELS[metric]}": f"{fmean(arm[f'best_{metric}']):.3f}",
        "training": duration(fmean(seconds["train"])),
        "validation": duration(fmean(seconds["validation"])),
        "total": duration(fmean(seconds["total"])),
        "images": f"{fmean(arm['images']):.0f}",
        "megapixels": f"{fmean(arm['pixels']) / 1e6:.3g}",
        "speed-up": "-" if arm["speed_up"] is None else f"{arm['speed_up']:.2f}",
        "at equal quality": _equal_quality(arm["speed_up_equal_quality"]),
        "difference": interval(arm["difference"]),
        "bootstrap": interval(arm["difference"], "bootstrap_"),
        "p": _probability(arm["difference"]),
    }


def interval(found: Mapping[str, Any] | None, prefix: str = "") -> str:
    """Write a difference and its interval; a `prefix` chooses the interval alone."""
    if not found or found.get("mean") is None:
        return "-"
    low, high = found.get(f"{prefix}low"), found.get(f"{prefix}high")
    ends = f"{low:+.3f} to {high:+.3f}" if low is not None and high is not None else ""
    if prefix:
        return ends or "-"
    return f"{found['mean']:+.3f}" + (f" ({ends})" if ends else "")


def _equal_quality(ratios: Sequence[float | None] | None) -> str:
    """Write the median over all seeds, a run that never gets there counted as the slowest.

    Of an even number it is the lower of the two in the middle: their mean is no run's.
    """
    if ratios is None:
        return "-"
    middle = median_low([ratio or 0.0 for ratio in ratios])
    reached = sum(ratio is not None for ratio in ratios)
    text = f"{middle:.2f}" if middle else "not reached"
    return text if reached in {0, len(ratios)} else f"{text} ({reached} of {len(ratios)} seeds)"


def _probability(found: Mapping[str, Any] | None) -> str:
    value = found and found.get("p_value")
    return "-" if value is None or found is None else f"{value:.2g}"
