"""Build an Ultralytics model from a model yaml, so that its `train` keeps the model's weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import torch
from ultralytics import RTDETR, YOLO
from ultralytics.utils import YAML

from progressive.errors import InputError

#: The number of classes, or their names.
Classes: TypeAlias = int | Sequence[str] | Mapping[int, str]


def assemble(
    model_yaml: Mapping[str, Any],
    stem: str,
    name: str,
    classes: Classes,
    task: str,
    seed: int | None,
    channels: int = 3,
) -> YOLO | RTDETR:
    """Build a model from its yaml. Ultralytics accepts a yaml as a file only.

    Args:
        model_yaml: input of Ultralytics' model parser.
        stem: stem of the file; Ultralytics reads the scale from it, as in yolo11x.
        name: file name that the model reports as its own; no such file remains. A colon, as in
            timm:resnet18, is replaced by a hyphen.
        classes: the number of classes, or their names.
        task: 'detect' or 'classify'.
        seed: seed of the initial weights; None to use PyTorch's random state.
        channels: of the images.

    Raises:
        InputError: `classes` is 0, the names are not numbered from 0, or there is no channel.
    """
    names = class_names(classes)
    if type(channels) is not int or channels < 1:
        raise InputError(f"channels={channels!r}: must be a whole number of at least 1")
    with (
        TemporaryDirectory() as folder,
        # Models are built on the CPU. PyTorch's random state is restored afterwards.
        torch.random.fork_rng(devices=[], enabled=seed is not None),
    ):
        if seed is not None:
            torch.random.default_generator.manual_seed(seed)
        path = Path(folder) / f"{stem}.yaml"
        YAML.save(path, {**model_yaml, "nc": len(names)})
        model = RTDETR(path) if stem.startswith("rtdetr") else YOLO(path, task=task)
        if channels != 3:  # which YOLO() always builds
            colour = model.model
            model.model = type(colour)(colour.yaml, ch=channels, verbose=False)
            model.model.args, model.model.task = colour.args, colour.task
    # Ultralytics does not know scale b and the scales of RT-DETR. Without `scale`, it would guess
    # whenever train() builds the model again. Export writes its files next to `yaml_file`, so this
    # must not name the deleted folder.
    name = name.replace(":", "-")
    model.model.yaml.update(scale=model_yaml["scale"], yaml_file=name)
    model.cfg = model.model_name = model.overrides["model"] = name
    model.model.args["model"] = name
    model.model.names = names
    # train() builds a new model from `yaml`. It copies our weights into it because `ckpt` is set.
    model.ckpt = {"model": model.model}
    return model


def class_names(classes: Classes) -> dict[int, str]:
    """Return class names by class index.

    Raises:
        InputError: there are no classes, or they are not numbered from 0.
    """
    if isinstance(classes, str) or not isinstance(classes, int | Iterable):
        raise InputError(f"classes={classes!r}: must be a number above 0, or names")
    if isinstance(classes, int):
        names = {i: str(i) for i in range(classes)}
    else:
        names = dict(classes) if isinstance(classes, Mapping) else dict(enumerate(classes))
    if not names or sorted(names) != list(range(len(names))):
        raise InputError(f"classes={classes}: must be a number above 0, or names numbered from 0")
    return names
