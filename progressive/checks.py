"""Numbers that a schedule is made of: each check raises a ValueError that names field and value.

What passes is returned as a plain `int`, `float` or `list`, whatever kind of number it came as.
Sizes are in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from numbers import Integral, Real
from typing import Any


def check_integer(name: str, value: Any, *, minimum: int, maximum: int | None = None) -> int:
    """Return `value`; raise ValueError unless it is an integer from `minimum` to `maximum`."""
    bound = f"at least {minimum}" if maximum is None else f"in {minimum}..{maximum}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise _wrong(name, value, f"an integer {bound}")
    found = int(value)
    if found < minimum or (maximum is not None and found > maximum):
        raise ValueError(f"{name}={found}: must be {bound}")
    return found


def check_number(name: str, value: Any, maximum: float, *, below: bool) -> float:
    """Return `value`; raise ValueError unless it is a number from 0 to `maximum`, or below it."""
    if not is_real(value) or not 0 <= value <= maximum or (below and value == maximum):
        raise _wrong(name, value, f"a number in [0, {maximum:g}" + (")" if below else "]"))
    return float(value)


def check_real(name: str, value: Any) -> float:
    """Return `value`; raise ValueError unless it is a number."""
    if not is_real(value) or math.isnan(value):
        raise _wrong(name, value, "a number")
    return float(value)


def check_image_size(image_size: Any, stride: int) -> tuple[int, int]:
    """Return two sizes; raise ValueError unless they rise to a multiple of the stride."""
    ends = as_pair("image_size", image_size)
    smallest = check_integer("image_size min", ends[0], minimum=stride)
    largest = check_integer("image_size max", ends[1], minimum=stride)
    if smallest > largest:
        raise ValueError(f"image_size min={smallest}: must not be above max={largest}")
    if largest % stride:
        below = largest // stride * stride
        raise ValueError(
            f"image_size max={largest}: must be a multiple of the stride {stride}, "
            f"such as {below} or {below + stride}"
        )
    return smallest, largest


def check_sizes(sizes: Any, stages: int, stride: int) -> list[int]:
    """Return `sizes`; raise ValueError unless every stage has a multiple of the stride."""
    found = as_list("sizes", sizes, "a list of one size per stage")
    if len(found) != stages:
        raise ValueError(f"sizes={found}: must have one size per stage ({stages})")
    found = [check_integer("sizes", size, minimum=stride) for size in found]
    for size in found:
        if size % stride:
            raise ValueError(f"sizes={found}: {size} is no multiple of the stride {stride}")
    if found != sorted(found):
        raise ValueError(f"sizes={found}: must not fall")
    return found


def as_pair(name: str, value: Any) -> tuple[Any, Any]:
    """Return the two ends of `value`; raise ValueError, naming it, for anything else."""
    found = as_list(name, value, "a pair (min, max)")
    if len(found) != 2:
        raise _wrong(name, value, "a pair (min, max)")
    return found[0], found[1]


def as_list(name: str, value: Any, wanted: str) -> list[Any]:
    """Return the members of `value`, which has an order; raise ValueError for anything else."""
    try:
        if not isinstance(value, str | bytes | Set | Mapping):
            return list(value)
    except TypeError:
        pass
    raise _wrong(name, value, wanted)


def is_real(value: Any) -> bool:
    """Tell whether `value` is a number of any kind, which True is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _wrong(name: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"{name}={' '.join(repr(value).split())}: must be {wanted}")
