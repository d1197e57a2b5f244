"""Numbers that a schedule is made of: each check raises a ValueError that names field and value."""

from __future__ import annotations

from collections.abc import Sequence


def check_integer(name: str, value: int, *, minimum: int, maximum: int | None = None) -> None:
    """Raise ValueError unless `value` is an integer from `minimum` to `maximum`."""
    bound = f"at least {minimum}" if maximum is None else f"in {minimum}..{maximum}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name}={value!r}: must be an integer {bound}")
    if value < minimum or (maximum is not None and value > maximum):
        raise ValueError(f"{name}={value}: must be {bound}")


def check_number(name: str, value: object, maximum: float, *, below: bool) -> None:
    """Raise ValueError unless `value` is a number from 0 to `maximum`, or below it."""
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not real or not 0 <= value <= maximum or (below and value == maximum):  # type: ignore[operator]
        bound = f"in [0, {maximum:g}" + (")" if below else "]")
        raise ValueError(f"{name}={value!r}: must be a number {bound}")


def check_image_size(image_size: tuple[int, int], stride: int) -> None:
    """Raise ValueError unless two sizes rise to a multiple of the stride, all in pixels."""
    smallest, largest = as_pair("image_size", image_size)
    check_integer("image_size min", smallest, minimum=stride)
    check_integer("image_size max", largest, minimum=stride)
    if smallest > largest:
        raise ValueError(f"image_size min={smallest}: must not be above max={largest}")
    if largest % stride:
        below = largest // stride * stride
        raise ValueError(
            f"image_size max={largest}: must be a multiple of the stride {stride}, "
            f"such as {below} or {below + stride}"
        )


def check_sizes(sizes: Sequence[int], stages: int, stride: int) -> None:
    """Raise ValueError unless there is a multiple of the stride for every stage, in pixels."""
    if len(sizes) != stages:
        raise ValueError(f"sizes={list(sizes)}: must have one size per stage ({stages})")
    for size in sizes:
        check_integer("sizes", size, minimum=stride)
        if size % stride:
            raise ValueError(f"sizes={list(sizes)}: {size} is no multiple of the stride {stride}")
    if list(sizes) != sorted(sizes):
        raise ValueError(f"sizes={list(sizes)}: must not fall")


def as_pair(name: str, value: Sequence) -> tuple:
    """Return the two ends of `value`; raise ValueError, naming it, for anything else."""
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f"{name}={value!r}: must be a pair (min, max)")
    return value[0], value[1]
