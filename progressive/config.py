"""The configuration: every key, what it means, what it may be, and one line when it is wrong.

Nothing heavy is imported here, so a mistake is reported before torch is loaded or a file written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from progressive.callbacks.refusals import refusal
from progressive.checks import (
    Check,
    ConfigError,
    boolean,
    choice,
    devices,
    file,
    integer,
    mapping,
    number,
    numbers,
    optional,
    rate_or_pair,
    text,
)
from progressive.detectors.catalog import (
    BACKBONES,
    HEADS,
    TIMM,
    BackboneSpec,
    DesignSpec,
    backbone_spec,
)
from progressive.errors import InputError
from progressive.schedule import MAX_MAGNITUDE, ProgressiveSchedule

TASKS = ("detect", "classify")

#: Largest stride of every detector here: features come at strides 8, 16 and 32.
STRIDE = 32


@dataclass(frozen=True)
class Key:
    """One configuration key: the check its value must pass and a sentence for ``--help``."""

    check: Check
    help: str


def _cache(name: str, value: Any) -> str:
    reason = refusal({name: value})
    if reason:
        raise ConfigError(reason)
    return choice(("disk", "encoded"))(name, value)


KEYS: dict[str, Key] = {
    "task": Key(choice(TASKS), "detect, or classify: the same schedule for an image classifier."),
    "data": Key(
        text(),
        "Data set: digits, or for classify blur (both embedded); or the path of an Ultralytics "
        "data.yaml, or for classify of a folder with train/ and val/.",
    ),
    "stages": Key(integer(1), "Number of training stages."),
    "epochs": Key(integer(1), "Epochs in total, over all stages."),
    "durations": Key(
        optional(numbers()), "Relative lengths of the stages, e.g. [4,3,2,1]; equal when null."
    ),
    "size.min": Key(integer(STRIDE), "Image size of the first stage, in pixels."),
    "size.max": Key(integer(STRIDE), "Image size of the last stage; a multiple of 32."),
    "randaugment.min": Key(
        number(0, MAX_MAGNITUDE), "RandAugment magnitude of the first stage (the paper uses 5)."
    ),
    "randaugment.max": Key(
        number(0, MAX_MAGNITUDE), "RandAugment magnitude of the last stage (the paper: 15 to 25)."
    ),
    "mixup.min": Key(number(0, 1), "Mixup in the first stage: a probability; alpha for classify."),
    "mixup.max": Key(number(0, 1), "Mixup in the last stage."),
    "dropout.min": Key(
        number(0, 1, open_end=True),
        "First stage: channel dropout between backbone and neck; classifier dropout for classify.",
    ),
    "dropout.max": Key(number(0, 1, open_end=True), "Dropout in the last stage."),
    "drop_path": Key(
        rate_or_pair(), "Stochastic depth of the backbone: a constant, or [min,max] to schedule it."
    ),
    "batch": Key(integer(1), "Images per step; constant through all stages."),
    "val_every": Key(
        optional(integer(1)),
        "Validate each this many epochs, besides where stages end and throughout the last one; "
        "null keeps validation to a tenth of the training time.",
    ),
    "seed": Key(integer(0), "Random seed of weights, order and augmentation."),
    "device": Key(
        optional(devices()), "cpu, mps, a GPU such as 0, or several such as [0,1]; null chooses."
    ),
    "cache": Key(
        optional(_cache),
        "disk for decoded images beside the files, encoded for the files in memory; or null.",
    ),
    "workers": Key(integer(0), "Loader processes; on a CPU Ultralytics always uses 0."),
    "backbone.source": Key(
        choice(("catalog", "timm")), "Set by backbone=NAME: where backbone.name is looked up."
    ),
    "backbone.name": Key(
        optional(text()), "Set by backbone=NAME; with backbone=timm the name of any timm model."
    ),
    "backbone.width": Key(
        number(0, 1, open_start=True), "Fraction of the backbone's channels, for small machines."
    ),
    "backbone.depth": Key(
        number(0, 1, open_start=True), "Fraction of the backbone's layers, for small machines."
    ),
    "backbone.pretrained": Key(boolean(), "Start from published ImageNet weights."),
    "backbone.weights": Key(
        optional(file(".safetensors", ".pth", ".pt", ".bin")), "Start from a local weight file."
    ),
    "head.name": Key(choice(HEADS), "Set by head=NAME."),
    "head.scale": Key(text(), "Scale of the head, e.g. n, s, m, l or x; head=yolov10s sets both."),
    "output": Key(optional(text()), "Run folder; a fresh one under runs/ when null."),
    "resume": Key(
        optional(text()), "Run folder (or its last.pt) to continue after an interruption."
    ),
    "dry_run": Key(boolean(), "Print the plan and stop."),
    "train": Key(
        mapping(), "train.KEY=VALUE hands any further argument to the Ultralytics trainer."
    ),
}

#: Config groups: chosen whole, as in backbone=efficientnetv2_s.
GROUPS: dict[str, str] = {
    "experiment": "A whole recipe, added with a plus: +experiment=yolov10_efficientnetv2.",
    "machine": "cpu or gpu: sizes, epochs, batch and optimizer that fit; detected when not given.",
    "backbone": "The backbone that replaces the detector's own; timm takes any of timm's.",
    "head": "The detector whose neck and head are used, with or without its scale.",
    "schedule": "A preset of stages and strengths: default, or the paper's efficientnetv2_s, m, l.",
}

#: Ultralytics arguments that have a key of their own here.
OWN_KEY = {
    "epochs": "epochs",
    "imgsz": "size.max",
    "batch": "batch",
    "seed": "seed",
    "device": "device",
    "workers": "workers",
    "data": "data",
    "cache": "cache",
    "mixup": "mixup.min and mixup.max",
    "resume": "resume",
    "project": "output",
    "name": "output",
    "exist_ok": "output",
    "save_dir": "output",
    "model": "head and backbone",
    "pretrained": "backbone.pretrained or backbone.weights",
    "task": "task",
    "mode": "nothing; this command always trains",
    "cfg": "train.KEY=VALUE",
}


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


def unknown_key(name: str) -> ConfigError:
    """Return the error for a key that does not exist, with the nearest one that does."""
    names = [*KEYS, *GROUPS]
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "see --help for every key"
    return ConfigError(f"{name}: unknown key; {hint}")


def check_train_arguments(train: Mapping[str, Any], task: str) -> None:
    """Check ``train.*`` against the installed Ultralytics without importing it."""
    known = ultralytics_defaults()
    for name, value in train.items():
        label = f"train.{name}"
        if name in OWN_KEY:
            raise ConfigError(f"{label}={value}: use {OWN_KEY[name]} instead")
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean train.{near[0]}?" if near else "Ultralytics has no such argument"
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


@cache
def ultralytics_defaults() -> dict[str, Any]:
    """Read Ultralytics' arguments and their defaults from its package data."""
    spec = find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "ultralytics: not installed; pip install progressive-learning installs it"
        )
    return yaml.safe_load((Path(spec.origin).parent / "cfg" / "default.yaml").read_text("utf-8"))


def _check_backbone(value: Mapping[str, Any]) -> None:
    spec = _backbone_spec(value["backbone.source"], value["backbone.name"])
    scaled = value["backbone.width"] != 1 or value["backbone.depth"] != 1
    if scaled and not spec.scalable:
        raise ConfigError(
            f"backbone.width={value['backbone.width']}, backbone.depth={value['backbone.depth']}: "
            f"must both be 1, since {value['backbone.name']} cannot be scaled"
        )
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
