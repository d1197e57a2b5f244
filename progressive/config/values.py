"""Kinds of values that pydantic has no type for; each says what would be right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from progressive.detectors.catalog import WEIGHT_FILES
from progressive.errors import suggest
from progressive.tracking import TRACKERS

#: The largest relative length of a stage.
MAX_LENGTH = 1e6


def _device(value: Any) -> str:
    """Return Ultralytics' spelling of cpu, mps, a GPU index or several."""
    spelled = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    spelled = spelled.replace("cuda:", "").replace(" ", "")
    if isinstance(value, bool) or not re.fullmatch(r"cpu|mps|cuda|\d+(,\d+)*", spelled):
        raise ValueError("must be cpu, mps, a GPU such as 0, or [0,1]")
    if len(set(spelled.split(","))) < len(spelled.split(",")):
        raise ValueError("names a GPU twice")
    return "0" if spelled == "cuda" else spelled


def _cache(value: Any) -> Any:
    if value is True or value == "ram":
        raise ValueError(
            "must be disk, null or, for detectors, encoded; in memory a detector's images keep the "
            "size they were first loaded at, so later stages would train on small pixels"
        )
    return value


def _trackers(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)):
        raise ValueError("must be a list, as [tensorboard,mlflow]")
    for name in names:
        if name not in TRACKERS:
            raise ValueError(suggest(str(name), TRACKERS))
    if len(set(names)) < len(names):
        raise ValueError("names one twice")
    return tuple(names)


def _durations(value: Any) -> Any:
    if value == "falling":
        return value
    numbers = value if isinstance(value, (list, tuple)) else ()
    right = [type(number) in (int, float) and 0 < number <= MAX_LENGTH for number in numbers]
    if not right or not all(right):
        raise ValueError("must be a list of positive numbers, as [4,3,2,1], or falling, or null")
    return tuple(float(number) for number in numbers)


def _weight_file(value: Any) -> Path:
    # Whether it is there is for a run to ask: a resumed one does not need it any more.
    path = Path(str(value)).expanduser()
    if path.suffix not in WEIGHT_FILES:
        raise ValueError(f"must be a file ending in {', '.join(WEIGHT_FILES)}")
    return path


def ends(value: Any) -> Any:
    """Take a pair for both ends of a section, anything else but a section for each of them."""
    if isinstance(value, (Mapping, BaseModel)):
        return value
    if not isinstance(value, (list, tuple)):
        value = (value, value)
    if len(value) != 2:
        raise ValueError("must be a number or a pair [min,max]")
    return {"min": value[0], "max": value[1]}


#: Relative lengths of stages.
Durations = Annotated[tuple[float, ...] | Literal["falling"], BeforeValidator(_durations)]

#: A number is read as text: a data set may be called 2024.
Text = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True, strict=False)]

#: A folder, or true for the newest run that is not finished.
Resume = Annotated[
    str,
    Field(min_length=1, coerce_numbers_to_str=True, strict=False),
    BeforeValidator(lambda value: "true" if value is True else value),
]

#: As Ultralytics spells it.
Device = Annotated[str, BeforeValidator(_device)]

Cache = Annotated[Literal["disk", "encoded"], BeforeValidator(_cache)]

#: Names of experiment trackers.
TrackerNames = Annotated[tuple[str, ...], BeforeValidator(_trackers)]

WeightFile = Annotated[Path, BeforeValidator(_weight_file)]
