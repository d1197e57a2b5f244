"""The configuration: a validated dataclass, and one line when something is wrong with it.

Nothing heavy is imported here, so a mistake is reported before torch is loaded or a file written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from progressive.config.checks import choice
from progressive.config.keys import (
    KEYS,
    OWN_KEY,
    STRIDE,
    VARIANTS,
    ultralytics_defaults,
    unknown_key,
)
from progressive.detectors.catalog import (
    BACKBONES,
    HEADS,
    TIMM,
    BackboneSpec,
    DesignSpec,
    backbone_spec,
)
from progressive.errors import ConfigError, InputError, nearest
from progressive.hosts.ultralytics.refusals import refusal
from progressive.schedule import ProgressiveSchedule


@dataclass(frozen=True)
class Bounds:
    """Values of the first and the last stage."""

    min: float
    max: float


@dataclass(frozen=True)
class Backbone:
    """Which backbone, at which fraction of its width and depth, from which weights."""

    source: str
    name: str
    width: float
    depth: float
    variant: float | str | None
    pretrained: bool
    weights: Path | None

    @property
    def key(self) -> str:
        """What `progressive.detectors.catalog.backbone_spec` knows it by."""
        return f"{TIMM}{self.name}" if self.source == "timm" else self.name


@dataclass(frozen=True)
class Head:
    """Which detector's neck and head, at which scale."""

    name: str
    scale: str


@dataclass(frozen=True)
class Config:
    """A validated configuration; build it with `validate`."""

    task: str
    data: str
    stages: int
    epochs: int
    durations: tuple[float, ...] | None
    size: Bounds
    randaugment: Bounds
    mixup: Bounds
    dropout: Bounds
    drop_path: float | tuple[float, float]
    batch: int
    merge_batches: bool
    val_every: int | None
    seed: int
    device: str | None
    cache: str | None
    workers: int
    backbone: Backbone
    head: Head
    output: str | None
    resume: str | None
    dry_run: bool
    train: Mapping[str, Any] = field(default_factory=dict)

    def schedule(self) -> ProgressiveSchedule:
        """Build the schedule; raises ConfigError where the keys do not fit together."""
        try:
            return ProgressiveSchedule.linear(
                epochs=self.epochs,
                stages=self.stages,
                image_size=(int(self.size.min), int(self.size.max)),
                randaugment=(self.randaugment.min, self.randaugment.max),
                mixup=(self.mixup.min, self.mixup.max),
                dropout=(self.dropout.min, self.dropout.max),
                drop_path=self.drop_path,
                stride=STRIDE,
                durations=self.durations,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None


def validate(raw: Mapping[str, Any]) -> Config:
    """Check a plain nested mapping and return it as a `Config`.

    Raises:
        ConfigError: one line that names the key, the value and what would be right.
    """
    flat = _flatten(raw)
    for name in flat:
        if name not in KEYS:
            raise unknown_key(name)
    for name in KEYS:
        if name not in flat:
            raise ConfigError(f"{name}: missing; give {name}=VALUE")
    value = {name: key.check(name, flat[name]) for name, key in KEYS.items()}
    for group in ("size", "randaugment", "mixup", "dropout"):
        low, high = value[f"{group}.min"], value[f"{group}.max"]
        if low > high:
            raise ConfigError(f"{group}.min={low}: must not be above {group}.max={high}")
    if value["stages"] > value["epochs"]:
        raise ConfigError(f"stages={value['stages']}: must not be above epochs={value['epochs']}")
    if value["size.max"] % STRIDE:
        below = value["size.max"] // STRIDE * STRIDE
        raise ConfigError(
            f"size.max={value['size.max']}: must be a multiple of the detector's stride {STRIDE}, "
            f"such as {below} or {below + STRIDE}"
        )
    _check_backbone(value)
    if value["task"] == "detect":
        _check_head(value)
    check_train_arguments(value["train"], value["task"])
    if value["task"] == "classify" and value["cache"] == "encoded":
        raise ConfigError("cache=encoded: for detectors only; use disk, or null")
    config = Config(**_nest(value))
    config.schedule()
    return config


def to_yaml(config: Config) -> str:
    """Write ``config`` as YAML that `validate` reads back."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return list(value)
        return str(value) if isinstance(value, Path) else value

    return yaml.safe_dump(plain(asdict(config)), sort_keys=False)


def check_train_arguments(train: Mapping[str, Any], task: str) -> None:
    """Check ``train.*`` against the installed Ultralytics without importing it."""
    known = ultralytics_defaults()
    for name, value in train.items():
        label = f"train.{name}"
        if name in OWN_KEY:
            raise ConfigError(f"{label}={value}: use {OWN_KEY[name]} instead")
        if name not in known:
            near = nearest(name, known, cutoff=0.5)
            hint = f"did you mean train.{near}?" if near else "Ultralytics has no such argument"
            raise ConfigError(f"{label}: unknown argument; {hint}")
        default = known.get(name)
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(default, (int, float)) and not isinstance(default, bool) and not numeric:
            if name not in {"fraction", "scale"}:  # these also take lists
                raise ConfigError(f"{label}={value}: must be a number, such as {default}")
        elif isinstance(default, bool) and numeric:
            raise ConfigError(f"{label}={value}: must be true or false")
    # The callback refuses the same in any trainer.
    reason = refusal({**train, "task": task})
    if reason:
        raise ConfigError(f"train.{reason}")


def _check_backbone(value: Mapping[str, Any]) -> None:
    spec = _backbone_spec(value["backbone.source"], value["backbone.name"])
    scaled = value["backbone.width"] != 1 or value["backbone.depth"] != 1
    if scaled and not spec.scalable:
        raise ConfigError(
            f"backbone.width={value['backbone.width']}, backbone.depth={value['backbone.depth']}: "
            f"must both be 1, since {value['backbone.name']} cannot be scaled"
        )
    variant = value["backbone.variant"]
    if variant is not None:
        if value["backbone.name"] not in VARIANTS:
            raise ConfigError(
                f"backbone.variant={variant}: {value['backbone.name']} has none, only "
                f"{', '.join(VARIANTS)}"
            )
        VARIANTS[value["backbone.name"]]("backbone.variant", variant)
    if value["backbone.pretrained"] and isinstance(spec, DesignSpec):
        raise ConfigError(
            f"backbone.pretrained=True: nobody publishes weights of {spec.design}; "
            "leave it out or give backbone.weights=FILE"
        )
    if value["backbone.pretrained"] and value["backbone.weights"]:
        raise ConfigError("backbone.weights: give either this or backbone.pretrained=true")
    for name in ("backbone.pretrained", "backbone.weights"):
        if value[name] and scaled:
            raise ConfigError(
                f"{name}={value[name]}: needs a whole backbone, not width "
                f"{value['backbone.width']} and depth {value['backbone.depth']}; "
                f"add backbone={value['backbone.name']}"
            )


def _backbone_spec(source: str, name: str | None) -> BackboneSpec | DesignSpec:
    if name is None:
        raise ConfigError("backbone.name: missing; give the name of a timm model")
    if source == "catalog":
        return BACKBONES[choice(BACKBONES)("backbone.name", name)]
    try:
        return backbone_spec(f"{TIMM}{name}")
    except InputError as error:
        raise ConfigError(f"backbone.name={name}: {error}") from None


def _check_head(value: Mapping[str, Any]) -> None:
    scales = HEADS[value["head.name"]]
    if value["head.scale"] not in scales:
        raise ConfigError(
            f"head.scale={value['head.scale']}: {value['head.name']} comes as {', '.join(scales)}"
        )


def _flatten(raw: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in raw.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and path not in KEYS:
            flat.update(_flatten(value, f"{path}."))
        else:
            flat[path] = value
    return flat


def _nest(value: Mapping[str, Any]) -> dict[str, Any]:
    """Gather dotted keys into the dataclasses of their sections."""
    sections = {
        "size": Bounds,
        "randaugment": Bounds,
        "mixup": Bounds,
        "dropout": Bounds,
        "backbone": Backbone,
        "head": Head,
    }
    nested = {name: item for name, item in value.items() if "." not in name}
    for section, kind in sections.items():
        start = f"{section}."
        members = {k.removeprefix(start): v for k, v in value.items() if k.startswith(start)}
        nested[section] = kind(**members)
    return nested
