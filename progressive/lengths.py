"""How epochs are cut into stages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Literal

from progressive.checks import as_list, is_real

#: Relative lengths of stages; or n, n - 1, ..., 1 for n of them; or equal ones.
Durations = Sequence[float] | Literal["falling"] | None


def relative_lengths(
    sizes: Sequence[int],
    durations: Durations = None,
    durations_by: str = "epochs",
) -> list[float]:
    """Return the lengths of stages in epochs, relative to each other.

    Args:
        sizes: of the images of each stage, in pixels.
        durations: relative lengths; "falling" for n, n - 1, ..., 1; equal ones by default.
        durations_by: what `durations` are shares of, "epochs" or "compute".

    Raises:
        ValueError: these are no durations for so many stages.
    """
    weights = _checked(durations, len(sizes))
    if durations_by not in ("epochs", "compute"):
        raise ValueError(f"durations_by={durations_by!r}: must be 'epochs' or 'compute'")
    if durations_by == "epochs":
        return weights
    return [w * (sizes[-1] / size) ** 2 for w, size in zip(weights, sizes, strict=True)]


def stop_epochs(epochs: int, weights: Sequence[float], durations: Durations) -> list[int]:
    """Cut `epochs` where the cumulated shares fall, rounded half up.

    A stage without an epoch is an error if its length was given; else it gets one.
    """
    total = sum(weights)
    if math.isinf(total):
        raise ValueError(f"durations={weights}: their sum must be a number too")
    stops = [math.floor(epochs * share / total + 0.5) for share in accumulate(weights)]
    stops[-1] = epochs
    if durations is None or isinstance(durations, str):
        for index in range(len(stops)):
            before, after = stops[index - 1] if index else 0, len(stops) - index - 1
            stops[index] = min(max(stops[index], before + 1), epochs - after)
    for index, (start, stop) in enumerate(pairwise([0, *stops])):
        if stop <= start:
            raise ValueError(
                f"durations={durations}: stage {index + 1} would get none of {epochs} epochs"
            )
    return stops


def _checked(durations: Durations, stages: int) -> list[float]:
    """Return one weight per stage; raise ValueError for others."""
    if durations is None:
        return [1.0] * stages
    if isinstance(durations, str) and durations == "falling":
        return [float(stages - index) for index in range(stages)]
    weights = as_list("durations", durations, "'falling', or a list of one weight per stage")
    if len(weights) != stages:
        raise ValueError(f"durations={weights}: must have one weight per stage ({stages})")
    for weight in weights:
        if not is_real(weight) or not 0 < weight < math.inf:
            raise ValueError(f"durations={weights}: every weight must be a positive number")
    return [float(weight) for weight in weights]
