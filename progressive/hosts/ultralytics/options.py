"""Check what the callback is given, when it is made and not hours later."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from progressive.console import Log
from progressive.errors import InputError, suggest
from progressive.schedule import ProgressiveSchedule
from progressive.tracking import TRACKERS, check_installed


def check_options(**given: Any) -> None:
    """Check arguments of `ProgressiveCallback`.

    Args:
        given: by name; all that are no key of `WANTED` are switches.

    Raises:
        InputError: one is of another type or value, or a tracker is unknown or not installed.
    """
    for name, value in given.items():
        right, wanted = WANTED.get(name, SWITCH)
        if not right(value):
            raise InputError(f"{name}={value!r}: must be {wanted}")
    if given["track"] is not None:
        for name in given["track"]:
            if name not in TRACKERS:
                raise InputError(f"track={name}: {suggest(name, TRACKERS)}")
        check_installed(given["track"])


def _is_positive(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf  # type: ignore[operator]


def _are_names(value: object) -> bool:
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return several and all(isinstance(name, str) for name in value)  # type: ignore[attr-defined]


def _is_json(value: object) -> bool:
    try:
        json.dumps(dict(value))  # type: ignore[call-overload]
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(value, Mapping)


def _or_none(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or right(value)


#: What an argument may be, and in words.
Wanted = tuple[Callable[[Any], bool], str]

SWITCH: Wanted = (lambda value: isinstance(value, bool), "True or False")

WANTED: dict[str, Wanted] = {
    "schedule": (lambda v: isinstance(v, ProgressiveSchedule), "a ProgressiveSchedule"),
    "config": (_or_none(lambda value: isinstance(value, str)), "a text, or None"),
    "val_every": (
        _or_none(lambda value: type(value) is int and value >= 1),
        "an integer of at least 1, or None",
    ),
    "notes": (_or_none(_is_json), "a mapping that JSON can hold, or None"),
    "save_minutes": (_or_none(_is_positive), "a number above 0, or None"),
    "track": (_or_none(_are_names), "a list of trackers, as ['tensorboard'], or None"),
    "log": (
        lambda value: value in get_args(Log),
        f"one of {', '.join(get_args(Log))}",
    ),
}
