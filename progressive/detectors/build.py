"""Build a detector from the catalog: a backbone under the neck and head of an Ultralytics model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from ultralytics import RTDETR, YOLO
from ultralytics.utils import YAML

from progressive.detectors.backbones import layer_channels
from progressive.detectors.catalog import backbone_spec, check_head
from progressive.detectors.graft import graft
from progressive.detectors.weights import load_weights, published_weights, read_weights


def build_detector(
    head: str = "yolov10",
    scale: str = "n",
    backbone: str = "efficientnetv2_b0",
    *,
    width: float = 1.0,
    depth: float = 1.0,
    pretrained: bool = False,
    weights: Path | None = None,
    classes: int | Sequence[str] | Mapping[int, str] = 80,
    seed: int | None = None,
) -> YOLO | RTDETR:
    """Build a detector whose `train`, `val`, `predict`, `save` and `export` are Ultralytics' own.

    Args:
        head: detector of the catalog whose neck and head are used.
        scale: scale of the head.
        backbone: backbone of the catalog.
        width: fraction of the backbone's channels, in (0, 1].
        depth: fraction of the backbone's blocks, in (0, 1].
        pretrained: start the backbone from the ImageNet weights timm publishes.
        weights: start the backbone from this file, of timm's features or its whole classifier.
        classes: how many, or their names. Must agree with the data set to train on: with another
            number the trainer builds a new head.
        seed: makes the initial weights reproducible; PyTorch's random state is left as it was.

    Returns:
        An `RTDETR` for head rtdetr, a `YOLO` for all others. Its `train` builds the model anew
        from exactly these weights. Rates of dropout and drop path are no weights: set them on the
        trainer's model, from a callback.

    Raises:
        ValueError: unknown names, fractions out of range, or weights for a part of a backbone.
        WeightsError: weights that cannot be had, cannot be read or do not fit.
    """
    check_head(head, scale)
    spec = backbone_spec(backbone)
    layer = spec.layer(width, depth)
    if pretrained and weights is not None:
        raise ValueError("give either pretrained or weights, not both")
    if (pretrained or weights is not None) and (width != 1 or depth != 1):
        raise ValueError(
            f"weights need the whole backbone, but width={width} and depth={depth} keep a part"
        )
    names = _names(classes)
    model_yaml = graft(head, scale, layer, layer_channels(layer))
    model_yaml["nc"] = len(names)
    with _seeded(seed):
        state = _initial_state(spec.timm, pretrained, weights)  # first, as it is what may fail
        detector = _host(head, model_yaml, f"{head}{scale}-{backbone}.yaml")
    detector.model.names = names
    if state is not None:
        body = detector.model.model[0].body
        load_weights(body, state, source=str(weights or f"published weights of {spec.timm}"))
    return detector


def _initial_state(
    model: str, pretrained: bool, weights: Path | None
) -> dict[str, torch.Tensor] | None:
    if pretrained:
        return published_weights(model)
    return None if weights is None else read_weights(Path(weights))


def _host(head: str, model_yaml: Mapping[str, Any], name: str) -> YOLO | RTDETR:
    """Hand a model yaml to Ultralytics, which builds from files only.

    Args:
        head: head of the catalog.
        model_yaml: for the model parser.
        name: file name under which the model shall be known; no such file remains.
    """
    with TemporaryDirectory() as folder:
        # Ultralytics reads the scale off the name of the file: yolo11x.yaml.
        path = Path(folder) / f"{head}{model_yaml['scale']}.yaml"
        YAML.save(path, dict(model_yaml))
        detector = RTDETR(path) if head == "rtdetr" else YOLO(path)
    # It knows no scale b, nor any of RT-DETR, and would guess again whenever train() rebuilds the
    # model. Export writes next to `yaml_file`, so that must not stay in the deleted folder.
    detector.model.yaml.update(scale=model_yaml["scale"], yaml_file=name)
    detector.cfg = detector.model_name = detector.overrides["model"] = name
    detector.model.args["model"] = name
    # train() builds its own model from `yaml`, and takes over our weights while `ckpt` is set.
    detector.ckpt = {"model": detector.model}
    return detector


def _names(classes: int | Sequence[str] | Mapping[int, str]) -> dict[int, str]:
    if isinstance(classes, int):
        names = {i: str(i) for i in range(classes)}
    else:
        names = dict(classes) if isinstance(classes, Mapping) else dict(enumerate(classes))
    if not names or sorted(names) != list(range(len(names))):
        raise ValueError(f"classes={classes}: must be a number above 0, or names numbered from 0")
    return names


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Draw from a generator of our own seed, on the CPU, where models are built."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield
