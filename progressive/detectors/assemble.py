"""Hand a model yaml to Ultralytics so that its `train` keeps the weights of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import torch
from ultralytics import RTDETR, YOLO
from ultralytics.utils import YAML

from progressive.errors import InputError

#: Class names: how many, or what they are called.
Classes: TypeAlias = int | Sequence[str] | Mapping[int, str]


def assemble(
    model_yaml: Mapping[str, Any], stem: str, name: str, names: Mapping[int, str], task: str
) -> YOLO | RTDETR:
    """Build a model from its yaml, which Ultralytics takes as a file only.

    Args:
        model_yaml: for the model parser.
        stem: of that file; Ultralytics reads a scale off it, as in yolo11x.
        name: file name under which the model shall be known; no such file remains. A colon, as in
            timm:resnet18, becomes a hyphen.
        names: class names by class index.
        task: detect or classify.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{stem}.yaml"
        YAML.save(path, {**model_yaml, "nc": len(names)})
        model = RTDETR(path) if stem.startswith("rtdetr") else YOLO(path, task=task)
    # It knows no scale b, nor any of RT-DETR, and would guess again whenever train() rebuilds the
    # model. Export writes next to `yaml_file`, so that must not stay in the deleted folder.
    name = name.replace(":", "-")
    model.model.yaml.update(scale=model_yaml["scale"], yaml_file=name)
    model.cfg = model.model_name = model.overrides["model"] = name
    model.model.args["model"] = name
    model.model.names = dict(names)
    # train() builds its own model from `yaml`, and takes over our weights while `ckpt` is set.
    model.ckpt = {"model": model.model}
    return model


def class_names(classes: Classes) -> dict[int, str]:
    """Return class names by index; raises InputError unless they are numbered from 0."""
    if isinstance(classes, int):
        names = {i: str(i) for i in range(classes)}
    else:
        names = dict(classes) if isinstance(classes, Mapping) else dict(enumerate(classes))
    if not names or sorted(names) != list(range(len(names))):
        raise InputError(f"classes={classes}: must be a number above 0, or names numbered from 0")
    return names


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw from a generator of our own seed, on the CPU, where models are built."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield
