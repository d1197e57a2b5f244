"""Which backbones and heads there are: plain tables, importable without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

#: Strides of the feature maps that every backbone hands to the neck.
STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone as timm knows it.

    Attributes:
        timm: name of the timm model.
        scalable: whether timm can build it at a fraction of its width and depth.
        base: the model that fractions are taken of, where it is another one: timm's b1 to b3 pass
            their own multipliers and so refuse ours, but they are b0 at these multipliers.
        width: channel multiplier that turns `base` into this model.
        depth: depth multiplier that turns `base` into this model.
    """

    timm: str
    scalable: bool = True
    base: str | None = None
    width: float = 1.0
    depth: float = 1.0

    def layer(self, width: float = 1.0, depth: float = 1.0) -> BackboneLayer:
        """Return the layer that builds this backbone at a fraction of its width and depth.

        Args:
            width: fraction of the channels, in (0, 1]; timm rounds channels to multiples of 8.
            depth: fraction of the blocks of each stage, in (0, 1]; timm rounds up, never below 1.

        Raises:
            ValueError: a fraction out of range, or of a model that cannot be scaled.
        """
        check_fractions(width, depth)
        if width == 1 and depth == 1:
            return BackboneLayer("TimmBackbone", (self.timm,))
        if not self.scalable:
            raise ValueError(f"{self.timm} has no fractions of width or depth; leave both at 1")
        multipliers = (self.width * width, self.depth * depth)
        return BackboneLayer("TimmBackbone", (self.base or self.timm, *multipliers))


@dataclass(frozen=True)
class DesignSpec:
    """A backbone of `gradient_path`, which is built here and has no published weights.

    Attributes:
        design: one of the designs there.
    """

    design: str

    @property
    def timm(self) -> str:
        """A name that timm does not know: its own darknet53 has other keys than ours."""
        return f"gradient_path.{self.design}"

    def layer(self, width: float = 1.0, depth: float = 1.0) -> BackboneLayer:
        """Return the layer that builds this design; as `BackboneSpec.layer`."""
        check_fractions(width, depth)
        import_module("progressive.detectors.gradient_path")  # registers the class with the parser
        return BackboneLayer("GradientPathBackbone", (self.design, width, depth))


@dataclass(frozen=True)
class BackboneLayer:
    """A backbone in a model yaml: a class the parser knows, with strings and numbers for it."""

    module: str
    args: tuple[Any, ...]


def _efficientnetv2_b(name: str, width: float, depth: float) -> BackboneSpec:
    return BackboneSpec(name, base="tf_efficientnetv2_b0", width=width, depth=depth)


#: EfficientNetV2, arXiv 2104.00298; multipliers of b0 to b3 from google/automl. Gradient-path
#: designs, arXiv 2211.04800.
BACKBONES: Mapping[str, BackboneSpec | DesignSpec] = {
    "efficientnetv2_b0": _efficientnetv2_b("tf_efficientnetv2_b0", 1.0, 1.0),
    "efficientnetv2_b1": _efficientnetv2_b("tf_efficientnetv2_b1", 1.0, 1.1),
    "efficientnetv2_b2": _efficientnetv2_b("tf_efficientnetv2_b2", 1.1, 1.2),
    "efficientnetv2_b3": _efficientnetv2_b("tf_efficientnetv2_b3", 1.2, 1.4),
    "efficientnetv2_s": BackboneSpec("tf_efficientnetv2_s"),
    "efficientnetv2_m": BackboneSpec("tf_efficientnetv2_m"),
    "efficientnetv2_l": BackboneSpec("tf_efficientnetv2_l"),
    "efficientnetv2_xl": BackboneSpec("tf_efficientnetv2_xl"),
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


def backbone_spec(name: str) -> BackboneSpec | DesignSpec:
    """Look a backbone up; raises ValueError with the nearest name that exists."""
    if name not in BACKBONES:
        raise ValueError(f"backbone={name}: {_suggest(name, BACKBONES)}")
    return BACKBONES[name]


def check_fractions(width: float, depth: float) -> None:
    """Raise ValueError for a fraction of a backbone that is not in (0, 1]."""
    for name, fraction in (("width", width), ("depth", depth)):
        if not 0 < fraction <= 1:
            raise ValueError(f"{name}={fraction}: must be in (0, 1]")


def check_head(name: str, scale: str) -> None:
    """Raise ValueError, with the nearest name that exists, for an unknown head or scale."""
    if name not in HEADS:
        raise ValueError(f"head={name}: {_suggest(name, HEADS)}")
    if scale not in HEADS[name]:
        raise ValueError(f"scale={scale}: {name} comes as {', '.join(HEADS[name])}")


def _suggest(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"must be one of {', '.join(known)}"
