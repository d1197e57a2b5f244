"""Which values Ultralytics' arguments may have, read from its source without importing it.

Ultralytics checks kinds and some bounds when a training starts; other values it takes and ignores,
or fails on late. All are refused here, before anything is written.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Words that an argument may be, in small letters. What is true or false is so by its default.
WORDS = {
    "optimizer": (
        *("auto", "SGD", "MuSGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSProp"),
    ),
    "split": ("train", "val", "test"),
    "copy_paste_mode": ("flip", "mixup"),
    "auto_augment": ("randaugment", "autoaugment", "augmix"),
}

#: Words beside true and false.
SWITCHES = {
    "amp": ("fp16", "bf16", "fp32"),
    "compile": ("default", "reduce-overhead", "max-autotune-no-cudagraphs"),
}

#: Least values beside Ultralytics' own; an argument that is not here may not be negative.
LEAST = {"save_period": -1, "degrees": -180, "shear": -180}

#: Largest values beside Ultralytics' own; numbers of things that take memory.
MOST = {"degrees": 180, "shear": 180, "mask_ratio": 64, "max_det": 1_000_000, "nbs": 1_000_000}


def complaint(name: str, value: Any, default: Any) -> str | None:
    """Return what is wrong with the value of an argument, and what would be right; None if nothing.

    Args:
        name: of the argument.
        value: that was given.
        default: of Ultralytics.
    """
    if not _finite(value):
        return "must be a finite number"
    if value is None:
        may = default is None or name == "auto_augment"
        return None if may else f"must not be null, but for example {default}"
    if check := _SPECIAL.get(name):
        return check(value)
    if name in WORDS:
        return _one_of(value, WORDS[name])
    if name in SWITCHES:
        known = isinstance(value, bool) or str(value).lower() in SWITCHES[name]
        return None if known else f"must be true, false, {', '.join(SWITCHES[name])}"
    kinds = _kinds()
    if name in kinds["CFG_BOOL_KEYS"]:
        return None if isinstance(value, bool) else "must be true or false"
    if name in kinds["CFG_FRACTION_KEYS"]:
        return None if _number(value) and 0 <= value <= 1 else "must be a number in [0, 1]"
    if name in kinds["CFG_INT_KEYS"]:
        least = kinds["CFG_INT_MIN"].get(name, LEAST.get(name, 0))
        return _bounded(name, value, least, "an integer", whole=True)
    if name in kinds["CFG_FLOAT_KEYS"]:
        return _bounded(name, value, LEAST.get(name, 0), "a number", whole=False)
    return None


def _bounded(name: str, value: Any, least: float, kind: str, *, whole: bool) -> str | None:
    most = MOST.get(name)
    right = _number(value) and value >= least and (most is None or value <= most)
    if right and whole:
        right = float(value).is_integer()
    upper = "" if most is None else f" and at most {most}"
    return None if right else f"must be {kind} of at least {least}{upper}"


def _one_of(value: Any, words: tuple[str, ...]) -> str | None:
    known = isinstance(value, str) and value.lower() in {word.lower() for word in words}
    return None if known else f"must be one of {', '.join(words)}"


def _classes(value: Any) -> str | None:
    listed = value if isinstance(value, list) else [value]
    right = listed and all(type(number) is int and number >= 0 for number in listed)
    return None if right else "must be a class number, or a list of them, as [0,2]"


def _freeze(value: Any) -> str | None:
    if type(value) is int and value >= 0:
        return None
    listed = isinstance(value, list) and all(
        (type(part) is int and part >= 0) or (isinstance(part, str) and part) for part in value
    )
    return None if listed else "must be a number of layers, or a list of layers, as [0,1]"


def _fraction(value: Any) -> str | None:
    if isinstance(value, list):
        counts = all((type(x) is int and x >= 0) or _share(x) for x in value)
        right = len(value) in {2, 3} and counts and all(value[:2])
        return None if right else "must be [train,val] or [train,val,test], shares or counts"
    right = (_share(value) and value > 0) or (type(value) is int and value > 0)
    return None if right else "must be a number in (0, 1], or a number of images"


def _scale(value: Any) -> str | None:
    if isinstance(value, list):
        pair = len(value) == 2 and all(_number(x) and x > 0 for x in value)
        right = pair and value[0] <= value[1]
    else:
        right = _share(value)
    return None if right else "must be a number in [0, 1], or a pair such as [0.5,1.5]"


def _distill(_: Any) -> str:
    return "is not supported: a teacher changes the loss that a schedule is built for; leave it out"


_SPECIAL: Mapping[str, Callable[[Any], str | None]] = {
    "classes": _classes,
    "freeze": _freeze,
    "fraction": _fraction,
    "scale": _scale,
    "distill_model": _distill,
}


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    return not isinstance(value, (list, tuple)) or all(map(_finite, value))


@cache
def _kinds() -> dict[str, Any]:
    """Return Ultralytics' tables of kinds and bounds by name, as its source has them."""
    found: dict[str, Any] = dict.fromkeys(
        ("CFG_BOOL_KEYS", "CFG_FRACTION_KEYS", "CFG_FLOAT_KEYS", "CFG_INT_KEYS"), frozenset()
    )
    found["CFG_INT_MIN"] = {}
    spec = find_spec("ultralytics")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent / "cfg" / "__init__.py"
    for node in ast.parse(source.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            if name in found:
                literal = value.args[0] if isinstance(value, ast.Call) else value
                found[name] = ast.literal_eval(literal)
    return found
