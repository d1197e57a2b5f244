"""`train.*`: arguments for the Ultralytics trainer, checked without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from progressive.errors import ConfigError, nearest

#: Ultralytics arguments that have a key of their own here.
OWN_KEY = {
    "epochs": "epochs",
    "imgsz": "size.max",
    "batch": "batch",
    "seed": "seed",
    "device": "device",
    "workers": "workers",
    "data": "data",
    "cache": "cache",
    "resume": "resume",
    "project": "output",
    "name": "output",
    "exist_ok": "output",
    "save_dir": "output",
    "model": "head and backbone",
    "pretrained": "backbone.pretrained or backbone.weights",
    "task": "task",
    "mode": "nothing; this command always trains",
    "cfg": "train.KEY=VALUE",
}

#: Numbers by default that may be lists as well.
LISTS = {"fraction", "scale"}


def check_train_arguments(train: Mapping[str, Any]) -> None:
    """Check names and kinds against the defaults of the installed Ultralytics.

    Raises:
        ConfigError: an argument that has a key of its own, is unknown or of another kind.
    """
    for name, value in train.items():
        label = f"train.{name}"
        if name in OWN_KEY:
            raise ConfigError(f"{label}={value}: use {OWN_KEY[name]} instead")
        known = ultralytics_defaults()
        if name not in known:
            near = nearest(name, known, cutoff=0.5)
            hint = f"did you mean train.{near}?" if near else "Ultralytics has no such argument"
            raise ConfigError(f"{label}: unknown argument; {hint}")
        default = known[name]
        if isinstance(default, bool) and _is_number(value):
            raise ConfigError(f"{label}={value}: must be true or false")
        if _is_number(default) and not _is_number(value) and name not in LISTS:
            raise ConfigError(f"{label}={value}: must be a number, such as {default}")


@cache
def ultralytics_defaults() -> dict[str, Any]:
    """Read Ultralytics' arguments and their defaults from its package data."""
    spec = find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "ultralytics: not installed; pip install progressive-learning installs it"
        )
    return yaml.safe_load((Path(spec.origin).parent / "cfg" / "default.yaml").read_text("utf-8"))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
