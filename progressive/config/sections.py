"""Sections of the configuration, and the rules of other parts between their keys."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from progressive.config.values import Text, WeightFile
from progressive.detectors.catalog import TIMM, backbone_spec, check_head, check_weights
from progressive.errors import ConfigError, InputError

#: Largest stride of every detector here, in pixels: features come at strides 8, 16 and 32.
STRIDE = 32

#: Largest image size that is taken for meant, in pixels.
MAX_SIZE = 16_384

#: Our keys, by what the parts that own a rule call them.
OUR_KEYS = {
    "image_size": "size",
    "width": "backbone.width",
    "depth": "backbone.depth",
    "variant": "backbone.variant",
    "pretrained": "backbone.pretrained",
    "weights": "backbone.weights",
    "head": "head.name",
    "scale": "head.scale",
}


class Section(BaseModel):
    """Keys that belong together: frozen, strict about types, closed to others."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Size(Section):
    """Image size in pixels; a detector takes multiples of its stride."""

    min: int = Field(ge=STRIDE, description="Image size of the first stage, in pixels.")
    max: int = Field(
        ge=STRIDE, le=MAX_SIZE, description=f"Image size of the last stage; a multiple of {STRIDE}."
    )


class Budget(Section):
    """What training may take."""

    minutes: float | None = Field(
        None,
        gt=0,
        le=525_600,  # a year
        description="Minutes in total, probe and validation included: epochs are chosen to fit and "
        "corrected at every boundary. Implies probe=true.",
    )


class Backbone(Section):
    """Which backbone, at which fraction of its width and depth, from which weights."""

    source: Literal["catalog", "timm"] = Field(
        description="Set by backbone=NAME: where backbone.name is looked up."
    )
    name: Text | None = Field(
        None, description="Set by backbone=NAME; with backbone=timm, the name of any timm model."
    )
    width: float = Field(
        1.0, gt=0, le=1, description="Fraction of the backbone's channels, for small machines."
    )
    depth: float = Field(
        1.0, gt=0, le=1, description="Fraction of the backbone's layers, for small machines."
    )
    variant: Any = Field(
        None,  # what is right depends on the design
        description="prn: fraction of masked channels; cspdarknet53: csp, first or last; elan: "
        "stacks in a stage.",
    )
    pretrained: bool = Field(False, description="Start from published ImageNet weights.")
    weights: WeightFile | None = Field(None, description="Start from the weights in this file.")

    @property
    def key(self) -> str:
        """What `progressive.detectors.catalog.backbone_spec` knows it by."""
        return f"{TIMM}{self.name}" if self.source == "timm" else str(self.name)

    @model_validator(mode="after")
    def _can_be_built(self) -> Backbone:
        if self.name is None:
            raise ConfigError("backbone.name: missing; give the name of a timm model")
        try:
            spec = backbone_spec(self.key)
        except InputError as error:
            said = str(error).removeprefix(f"backbone={self.name}: ")
            raise ConfigError(f"backbone.name={self.name}: {said}") from None
        try:
            spec.layer(self.width, self.depth, self.variant)
            check_weights(spec, self.pretrained, self.weights, self.width, self.depth)
        except InputError as error:
            option = "timm" if self.source == "timm" else self.name
            hint = f", as backbone={option} does" if "leave both at 1" in str(error) else ""
            raise ConfigError(in_our_keys(error) + hint) from None
        return self


class Head(Section):
    """Which detector's neck and head, at which scale."""

    name: Text = Field(description="Set by head=NAME.")
    scale: Text = Field(
        description="Scale of the head, e.g. n, s, m, l or x; head=yolov10s sets both."
    )

    @model_validator(mode="after")
    def _exists(self) -> Head:
        try:
            check_head(self.name, self.scale)
        except InputError as error:
            raise ConfigError(in_our_keys(error)) from None
        return self


def in_our_keys(error: ValueError) -> str:
    """Return a message of another part with its names replaced by our keys."""
    message = str(error)
    if end := re.match(r"(\w+) (?:min|max)=", message):
        key = OUR_KEYS.get(end[1], end[1])
        return re.sub(rf"(?:^{end[1]} |\b)(min|max)=", rf"{key}.\1=", message)
    return re.sub(r"(?:^|(?<=, ))\w+(?==)", lambda name: OUR_KEYS.get(name[0], name[0]), message)
