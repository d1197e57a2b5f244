"""Every configuration key: the check its value must pass, and what it means in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from progressive.config.checks import (
    Check,
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
from progressive.detectors.catalog import HEADS
from progressive.errors import ConfigError, nearest
from progressive.hosts.ultralytics.refusals import refusal
from progressive.schedule import KNOBS

TASKS = ("detect", "classify")

#: Largest seed that NumPy takes.
MAX_SEED = 2**32 - 1

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
        number(0, KNOBS[0].maximum), "RandAugment magnitude of the first stage (the paper uses 5)."
    ),
    "randaugment.max": Key(
        number(0, KNOBS[0].maximum),
        "RandAugment magnitude of the last stage (the paper: 15).",
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
    "batch": Key(integer(1), "Images in a batch of the last stage."),
    "merge_batches": Key(
        boolean(),
        "Where the optimizer waits for several batches (train.nbs above batch), load as many of "
        "them as one as small images leave room for.",
    ),
    "val_every": Key(
        optional(integer(1)),
        "Validate each this many epochs, besides where stages end and throughout the last one; "
        "null for as often as a tenth of the training time allows.",
    ),
    "seed": Key(integer(0, MAX_SEED), "Random seed of weights, order and augmentation."),
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
    "backbone.variant": Key(
        lambda _, value: value,  # what is right depends on the design
        "prn: fraction of masked channels; cspdarknet53: csp, first or last; elan: stacks.",
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

#: What `backbone.variant` may be, by the design that has one.
VARIANTS: dict[str, Check] = {
    "prn": number(0, 1),
    "cspdarknet53": choice(("csp", "first", "last")),
    "elan": integer(1),
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


def unknown_key(name: str) -> ConfigError:
    """Return the error for a key that does not exist, with the nearest one that does."""
    names = [*KEYS, *GROUPS]
    near = nearest(name, names, cutoff=0.5)
    hint = f"did you mean {near}?" if near else "see --help for every key"
    return ConfigError(f"{name}: unknown key; {hint}")


@cache
def ultralytics_defaults() -> dict[str, Any]:
    """Read Ultralytics' arguments and their defaults from its package data."""
    spec = find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "ultralytics: not installed; pip install progressive-learning installs it"
        )
    return yaml.safe_load((Path(spec.origin).parent / "cfg" / "default.yaml").read_text("utf-8"))
