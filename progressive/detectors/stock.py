"""Load a model as it is, without a backbone of ours: weights of Ultralytics, or a model yaml."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import torchvision
import yaml
from torch import nn
from ultralytics import RTDETR, YOLO
from ultralytics.nn import tasks
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import unwrap_model

from progressive.detectors import layers
from progressive.detectors.assemble import Classes, assemble
from progressive.detectors.model_file import YAML_SUFFIXES, find_model, read_model_yaml
from progressive.errors import InputError
from progressive.safe_loading.checkpoints import load_layers

#: Our own key in an architecture, beside those of a model yaml.
CLASS_WIDTH = "class_width"

assert layers.CLASSES  # importing it registers our backbones, which a yaml may name


def load_model(name: str) -> YOLO | RTDETR:
    """Load the model of a file, through the one safe door for weights.

    Args:
        name: path of weights or of a model yaml, or the name of a yaml that Ultralytics ships.

    Raises:
        InputError: no such file, one that cannot be read, or a model that would run code of others.
    """
    path = find_model(name)
    if path.suffix.lower() in YAML_SUFFIXES:
        found = read_model_yaml(path)
        _check(path, found)
        kind = RTDETR if found["head"][-1][2] == "RTDETRDecoder" else YOLO
        try:
            return kind(str(path))
        except Exception as error:  # whatever its layers say to their arguments
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise InputError(f"model={name}: cannot be built: {reason}") from error
    load_layers(path, "meta")  # refuses what is no layer, before Ultralytics reads it
    model = YOLO(str(path))
    if type(model) not in (YOLO, RTDETR):
        raise InputError(
            f"model={name}: {type(model).__name__} needs text as well; not trained here"
        )
    # `train` builds the model again from this.
    _check(path, model.model.yaml)
    return model


def write_architecture_to(path: Path) -> Callable[[Any], None]:
    """Return a callback of a trainer that writes the yaml of its model to `path`.

    It says how many classes, channels and keypoints the model was built for, so that `rebuild`
    gives one with the same tensors.
    """
    return partial(_write_architecture, path)


def _write_architecture(path: Path, trainer: Any) -> None:
    if RANK in {-1, 0}:
        model = unwrap_model(trainer.model)
        found = {**model.yaml, CLASS_WIDTH: _class_width(model)}
        path.write_text(yaml.safe_dump(found, sort_keys=False), "utf-8")


def rebuild(path: Path, task: str, classes: Classes, seed: int | None) -> YOLO | RTDETR:
    """Build a model as a training has left its architecture; the weights are random.

    Args:
        path: what `write_architecture_to` has written.
        task: of the model.
        classes: their names.
        seed: of the random weights.

    Raises:
        InputError: it cannot be read, or would run code.
    """
    found = read_model_yaml(path)
    _check(path, found)
    width = found.pop(CLASS_WIDTH, None)
    scale, scales = str(found.get("scale") or ""), found.get("scales") or {}
    if scale in scales:
        found["scales"] = {scale: scales[scale]}
    # Ultralytics reads the scale off the name of a file.
    stem = "rtdetr" if found["head"][-1][2] == "RTDETRDecoder" else f"yolo0{scale}"
    name = Path(str(found.get("yaml_file") or path)).name
    channels = found.get("channels", 3)

    def made(names: Classes) -> YOLO | RTDETR:
        return assemble({**found, "scale": scale}, stem, name, names, task, seed, channels)

    model = made(classes)
    if width is not None and width != _class_width(model.model):
        model.model.load(made(int(width)).model, verbose=False)
    return model


def _class_width(model: Any) -> int | None:
    """Return the width of the layers that classify boxes.

    It follows from the number of classes that the head was first built for. Ultralytics keeps it
    when weights for many classes are trained on for few.
    """
    branches = getattr(model.model[-1], "cv3", None)
    return branches[0][-1].in_channels if branches else None


@cache
def largest_stride(name: str) -> int:
    """Return what the sizes of a model's images must be multiples of, after loading it once.

    Raises:
        InputError: as `load_model`.
    """
    return int(max(load_model(name).model.stride))


def _check(path: Path, found: Mapping[str, Any]) -> None:
    """Refuse a model yaml that runs code, fetches weights or names a layer that is not there.

    Ultralytics evaluates `activation`, and finds modules among all names of its parser.

    Raises:
        InputError: names what is wrong.
    """
    activation = found.get("activation")
    if activation and not _is_activation(activation):
        raise InputError(
            f"model={path}: activation={activation}: must be a layer of torch.nn, as nn.ReLU()"
        )
    for _, _, module, arguments in [*found["backbone"], *found["head"]]:
        if not _is_layer(module):
            raise InputError(
                f"model={path}: names the layer {module}, which Ultralytics does not have; a model "
                "with code of its own needs the callback"
            )
        if module == "TorchVision" and arguments[2:3] not in ([None], ["None"]):
            raise InputError(
                f"model={path}: TorchVision would fetch the weights {arguments[2:3]}; write None"
            )


def _is_layer(name: str) -> bool:
    for start, home in (("nn.", nn), ("torchvision.ops.", torchvision.ops)):
        if name.startswith(start):
            found = getattr(home, name.removeprefix(start), None)
            break
    else:
        found = vars(tasks).get(name)
    return isinstance(found, type) and issubclass(found, nn.Module)


def _is_activation(text: Any) -> bool:
    """Tell whether this is a call of a class of torch.nn with literal arguments."""
    try:
        call = ast.parse(str(text).strip(), mode="eval").body
        if not isinstance(call, ast.Call):
            return False
        name = ast.unparse(call.func).removeprefix("torch.").removeprefix("nn.")
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return False
    prefixed = ast.unparse(call.func) in (f"nn.{name}", f"torch.nn.{name}")
    found = getattr(torch.nn, name, None)
    return prefixed and isinstance(found, type) and issubclass(found, nn.Module)
