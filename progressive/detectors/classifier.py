"""Build an image classifier on a backbone of the catalog."""

from __future__ import annotations

from pathlib import Path

from ultralytics import YOLO

from progressive.detectors.assemble import Classes, assemble
from progressive.detectors.catalog import backbone_spec
from progressive.detectors.graft import backbone_layers
from progressive.detectors.layers import layer_channels
from progressive.detectors.published import initial_weights
from progressive.detectors.weights import load_weights


def build_classifier(
    backbone: str = "efficientnetv2_b0",
    *,
    width: float = 1.0,
    depth: float = 1.0,
    variant: float | str | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
    classes: Classes = 1000,
    seed: int | None = None,
) -> YOLO:
    """Build a classifier whose `train`, `val`, `predict` and `export` are Ultralytics' own.

    The head is Ultralytics' `Classify`: a 1x1 convolution to 1280 channels, pooling, dropout and a
    linear layer. EfficientNet and EfficientNetV2 have the same head. If it has 1280 channels too
    (EfficientNetV2-B0, B1, S, M, L, XL, EfficientNet-B0 and B1), the number of parameters is the
    published one.

    Arguments and errors are those of `progressive.detectors.build_detector`.
    """
    spec = backbone_spec(backbone)
    layer = spec.layer(width, depth, variant)
    state = initial_weights(spec, pretrained, weights, width, depth)
    layers = backbone_layers(layer, layer_channels(layer))
    model_yaml = {
        "scale": "",
        "backbone": [layers[0], layers[-1]],  # only the map at stride 32
        "head": [[-1, 1, "Classify", ["nc"]]],
    }
    name = f"{backbone}-cls.yaml"
    classifier = assemble(model_yaml, "classifier", name, classes, "classify", seed)
    if state is not None:
        load_weights(classifier.model.model[0].body, *state, spec.timm)
    return classifier
