"""`train.*`: arguments for the Ultralytics trainer, checked without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from progressive.config.train_values import complaint
from progressive.errors import ConfigError, suggest

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
    "model": "model, or head and backbone",
    "pretrained": "model, backbone.pretrained or backbone.weights",
    "task": "task",
    "mode": "nothing; this command always trains",
    "cfg": "train.KEY=VALUE",
}


def check_train_arguments(train: Mapping[str, Any]) -> None:
    """Check names and values against the defaults of the installed Ultralytics.

    Raises:
        ConfigError: an argument that has a key of its own, is unknown, or has a wrong value.
    """
    for name, value in train.items():
        label = f"train.{name}"
        if name in OWN_KEY:
            raise ConfigError(f"{label}={value}: use {OWN_KEY[name]} instead")
        known = ultralytics_defaults()
        if name not in known:
            options = [f"train.{argument}" for argument in known]
            hint = suggest(label, options, "Ultralytics has no such argument", cutoff=0.7)
            raise ConfigError(f"{label}: unknown argument; {hint}")
        if problem := complaint(name, value, known[name]):
            raise ConfigError(f"{label}={value}: {problem}")


@cache
def ultralytics_defaults() -> dict[str, Any]:
    """Read Ultralytics' arguments and their defaults from its package data."""
    spec = find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "ultralytics: not installed; pip install progressive-learning installs it"
        )
    return yaml.safe_load((Path(spec.origin).parent / "cfg" / "default.yaml").read_text("utf-8"))
