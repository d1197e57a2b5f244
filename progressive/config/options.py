"""What Hydra composes from: the folder of YAML files, and what is derived from the code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from progressive.config.complaints import keys
from progressive.config.fitting import fitting_schedule
from progressive.config.help import help_text
from progressive.config.machine import fitting_machine
from progressive.config.model import GROUPS, Config
from progressive.config.sections import STRIDE
from progressive.detectors.catalog import BACKBONES, HEADS
from progressive.errors import ConfigError
from progressive.schedule import KNOBS


def conf_dir() -> Path:
    """Return the folder of the configuration files: beside the package, or inside a wheel's."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def register(overrides: Sequence[str]) -> None:
    """Give Hydra its resolvers and the options that follow from the catalog and the knobs.

    Args:
        overrides: of the command line, which may say what machine and what start this is for.
    """
    OmegaConf.register_new_resolver(
        "to_stride", lambda size: round(size / STRIDE) * STRIDE, replace=True
    )
    OmegaConf.register_new_resolver(
        "fitting_machine", lambda *, _root_: fitting_machine(overrides, _root_), replace=True
    )
    OmegaConf.register_new_resolver(
        "fitting_schedule", lambda: fitting_schedule(overrides), replace=True
    )
    store = ConfigStore.instance()
    store.store(group="hydra/hydra_logging", name="progressive", node=_hydra_logging(overrides))
    store.store(name="base", node=OmegaConf.create(_base()))
    for name in BACKBONES:
        store.store(group="backbone", name=name, node=_whole(name))
    for option, (head, scale) in head_options().items():
        store.store(group="head", name=option, node={"name": head, "scale": scale})
    template = {"app_name": "progressive", "header": "", "footer": "", "template": help_text()}
    store.store(group="hydra/help", name="progressive", node=template)


def head_options() -> dict[str, tuple[str, str]]:
    """Return every value of `head=`: each head at its smallest scale, and each with its scale."""
    options = {head: (head, scales[0]) for head, scales in HEADS.items()}
    for head, scales in HEADS.items():
        joint = "-" if head == "rtdetr" else ""
        options.update({f"{head}{joint}{scale}": (head, scale) for scale in scales})
    return options


def respelled(override: str) -> str:
    """Return an override as Hydra wants it, where our command line takes what Hydra does not.

    - `experiment=NAME` adds to the defaults list, which takes a plus.
    - `~KEY` of a key that is null already: Hydra deletes only what has a value.
    - `KNOB=[MIN,MAX]` and `KNOB=NUMBER`: Hydra puts no list in the place of a section, and what it
      puts a number in the place of takes no `KNOB.min` any more.
    - `GROUP=1` or `GROUP=null`: Hydra looks for the option only if it is a text.

    Raises:
        ConfigError: it names no key.
    """
    key, equals, value = override.partition("=")
    name = key.lstrip("+~").partition("@")[0].strip()
    if not name:
        raise ConfigError(f"{override or repr(override)}: names no key; write KEY=VALUE")
    if name == "hydra" and equals:
        raise ConfigError(f"{override}: write hydra.KEY=VALUE")
    if (name in GROUPS or "/" in name) and re.fullmatch(r"[\d.]+|true|false|null", value):
        value = f"'{value}'"
    if key == "experiment":
        return f"+{key}={value}"
    if key.startswith("~") and not equals and key[1:] in _optional():
        return f"{key[1:]}=null"
    if key in {knob.key for knob in KNOBS if knob.constant}:
        value = re.sub(r"\[([^][,]+),([^][,]+)\]", r"{min:\1,max:\2}", value)
        # Others are left to the field, which says what is wrong with what was written.
        if all(re.fullmatch(r"0|0?\.\d+|\d+e-\d+", number) for number in value.split(",")):
            value = ",".join(f"{{min:{number},max:{number}}}" for number in value.split(","))
    return f"{key}{equals}{value}"


def _hydra_logging(overrides: Sequence[str]) -> dict[str, Any]:
    """Return how Hydra tells of its jobs: with log=json on standard error, as all but the JSON."""
    stream = "ext://sys.stderr" if "log=json" in overrides else "ext://sys.stdout"
    handler = {"class": "logging.StreamHandler", "stream": stream, "formatter": "plain"}
    return {
        "version": 1,
        "formatters": {"plain": {"format": "[%(asctime)s][HYDRA] %(message)s"}},
        "handlers": {"console": handler},
        "root": {"level": "INFO", "handlers": ["console"]},
        "disable_existing_loggers": False,
    }


def _base() -> dict[str, Any]:
    """Return what every configuration starts from: knobs unused, `train` open to any argument."""
    # A plain number gives way to a section and to a list; a section does not give way to a list.
    knobs = {
        knob.key: knob.unused if knob.constant else {"min": knob.unused, "max": knob.unused}
        for knob in KNOBS
    }
    # A preset that does not name these is the paper's.
    later = ("durations_by", "sizes", "lr_by", "levels_by")
    plain = {name: Config.model_fields[name].default for name in later}
    return {**plain, **knobs, "train": OmegaConf.create({}, flags={"struct": False})}


def _whole(backbone: str) -> dict[str, Any]:
    """Return the section for all of a backbone of the catalog, from random weights."""
    whole = {"width": 1.0, "depth": 1.0, "variant": None, "pretrained": False, "weights": None}
    return {"source": "catalog", "name": backbone, **whole}


def _optional() -> set[str]:
    return {name for name, field in keys(Config).items() if field.default is None}
