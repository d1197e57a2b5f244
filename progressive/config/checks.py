"""Checks for single values: each returns the value as it is used, or says what would be right."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from progressive.errors import ConfigError, suggest

Check = Callable[[str, Any], Any]


def integer(minimum: int, maximum: int | None = None) -> Check:
    """Accept an integer of at least ``minimum`` and, if given, at most ``maximum``."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ConfigError(f"{name}={value}: must be an integer of at least {minimum}")
        if maximum is not None and value > maximum:
            raise ConfigError(f"{name}={value}: must be at most {maximum}")
        return value

    return check


def number(
    minimum: float, maximum: float, *, open_start: bool = False, open_end: bool = False
) -> Check:
    """Accept a number in an interval, whose ends may be excluded."""
    interval = f"{'(' if open_start else '['}{minimum:g}, {maximum:g}{')' if open_end else ']'}"

    def check(name: str, value: Any) -> float:
        inside = (
            _is_number(value)
            and minimum <= value <= maximum
            and not (open_start and value == minimum)
            and not (open_end and value == maximum)
        )
        if not inside:
            raise ConfigError(f"{name}={value}: must be a number in {interval}")
        return value

    return check


def numbers() -> Check:
    """Accept a list of positive numbers."""

    def check(name: str, value: Any) -> tuple[float, ...]:
        if not _is_list(value) or not value or not all(_is_number(x) and x > 0 for x in value):
            raise ConfigError(f"{name}={value}: must be a list of positive numbers, as [4,3,2,1]")
        return tuple(value)

    return check


def rate_or_pair() -> Check:
    """Accept a rate in [0, 1), or a pair of rates that does not fall."""
    rate = number(0, 1, open_end=True)

    def check(name: str, value: Any) -> float | tuple[float, float]:
        if not _is_list(value):
            return rate(name, value)
        if len(value) != 2:
            raise ConfigError(f"{name}={value}: must be a number in [0, 1) or a pair [min,max]")
        low, high = (rate(name, item) for item in value)
        if low > high:
            raise ConfigError(f"{name}={value}: min must not be above max")
        return low, high

    return check


def boolean() -> Check:
    """Accept true or false."""

    def check(name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{name}={value}: must be true or false")
        return value

    return check


def text() -> Check:
    """Accept a non-empty string; a number becomes one."""

    def check(name: str, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
            raise ConfigError(f"{name}={value}: must be a text")
        return str(value)

    return check


def choice(options: Collection[str]) -> Check:
    """Accept one of ``options``."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in options:
            raise ConfigError(f"{name}={value}: {suggest(str(value), options)}")
        return value

    return check


def devices() -> Check:
    """Accept cpu, mps, one GPU index or several, and return Ultralytics' spelling of it."""

    def check(name: str, value: Any) -> str:
        spelled = ",".join(str(item) for item in value) if _is_list(value) else str(value)
        spelled = spelled.replace("cuda:", "").replace(" ", "")
        if not re.fullmatch(r"cpu|mps|cuda|\d+(,\d+)*", spelled) or isinstance(value, bool):
            raise ConfigError(f"{name}={value}: must be cpu, mps, a GPU such as 0, or [0,1]")
        if len(set(spelled.split(","))) < len(spelled.split(",")):
            raise ConfigError(f"{name}={value}: names a GPU twice")
        return "0" if spelled == "cuda" else spelled

    return check


def file(*suffixes: str) -> Check:
    """Accept the path of an existing file with one of ``suffixes``."""

    def check(name: str, value: Any) -> Path:
        path = Path(str(value)).expanduser()
        if path.suffix not in suffixes:
            raise ConfigError(f"{name}={value}: must be a file ending in {', '.join(suffixes)}")
        if not path.is_file():
            raise ConfigError(f"{name}={value}: no such file")
        return path

    return check


def mapping() -> Check:
    """Accept a mapping."""

    def check(name: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name}={value}: write {name}.KEY=VALUE")
        return dict(value)

    return check


def optional(check: Check) -> Check:
    """Accept null as well."""
    return lambda name, value: None if value is None else check(name, value)


def _is_number(value: Any) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
