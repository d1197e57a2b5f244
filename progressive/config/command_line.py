"""From the command line to validated configurations, with Hydra doing the composing.

Hydra's own messages span several lines and exit with 1; here every mistake in an override is
found first and said in one line.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import NoReturn

from hydra import compose, initialize_config_dir
from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from progressive.config.keys import GROUPS, KEYS, OWN_KEY, STRIDE, ultralytics_defaults, unknown_key
from progressive.config.model import Config, validate
from progressive.detectors.catalog import BACKBONES, HEADS
from progressive.errors import ConfigError, InputError, suggest
from progressive.machine import has_gpu

#: More sweep jobs than this are not composed ahead of time; each is still checked when it starts.
MAX_JOBS_CHECKED = 256

#: Hydra's options that are followed by a value.
OPTIONS_WITH_VALUE = {
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--info", "-i", "--experimental-rerun"),
}

OPTIONS = {
    *OPTIONS_WITH_VALUE,
    *("--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"),
    *("--shell-completion", "-sc"),
}

#: What a resumed run may still change.
ALLOWED_WITH_RESUME = {"resume", "device", "workers", "dry_run"}


def run_with_hydra(
    job: Callable[[Config], None], arguments: Sequence[str], precheck: Callable[[Config], None]
) -> None:
    """Compose the configuration from ``arguments`` and call ``job`` for each job of the sweep.

    All jobs pass ``precheck``, which raises InputError, before the first one starts. Bad input
    ends the process with exit code 2 and one line on stderr.
    """
    # Hydra prints tracebacks and exits with 1 unless told to let exceptions through.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        register()
        prepared = prepare(arguments)
        if "--multirun" in prepared or "-m" in prepared:
            check_sweep(prepared, precheck)
        sys.argv[1:] = prepared

        def task(composed: DictConfig) -> None:
            try:
                job(_place(validate(plain(composed))))
            except (InputError, HydraException, OmegaConfBaseException) as error:
                fail(error)  # Hydra would add a line of its own to an exception

        hydra_main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(task)()
    except (InputError, HydraException, OmegaConfBaseException) as error:
        fail(error)


def fail(error: Exception) -> NoReturn:
    """Print ``error`` as one line and exit with code 2."""
    print(f"progressive: {' '.join(str(error).split())}", file=sys.stderr)
    raise SystemExit(2)


def conf_dir() -> Path:
    """Return the folder of the configuration files: beside the package, or inside a wheel's."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def register() -> None:
    """Give Hydra the backbones and heads, one option each, derived from the catalog."""
    OmegaConf.register_new_resolver(
        "to_stride", lambda size: round(size / STRIDE) * STRIDE, replace=True
    )
    store = ConfigStore.instance()
    for name in BACKBONES:
        whole = {"width": 1.0, "depth": 1.0, "variant": None}
        weights = {"pretrained": False, "weights": None}
        node = {"source": "catalog", "name": name, **whole, **weights}
        store.store(group="backbone", name=name, node=node)
    for option, (head, scale) in head_options().items():
        store.store(group="head", name=option, node={"name": head, "scale": scale})
    template = {"app_name": "progressive", "header": "", "footer": "", "template": help_text()}
    store.store(group="hydra/help", name="progressive", node=template)


def head_options() -> dict[str, tuple[str, str]]:
    """Return every value of ``head=``: each head at its smallest scale, and each with its scale."""
    options = {head: (head, scales[0]) for head, scales in HEADS.items()}
    for head, scales in HEADS.items():
        joint = "-" if head == "rtdetr" else ""
        options.update({f"{head}{joint}{scale}": (head, scale) for scale in scales})
    return options


def group_options(group: str) -> list[str]:
    """Return what may be chosen for a config group."""
    derived = {"backbone": list(BACKBONES), "head": list(head_options())}.get(group, [])
    return sorted({*derived, *(path.stem for path in (conf_dir() / group).glob("*.yaml"))})


def prepare(arguments: Sequence[str]) -> list[str]:
    """Check the overrides among ``arguments`` and fill in what they leave to the machine.

    Returns options first, since Hydra's parser takes overrides in one piece only, and adds the
    plus signs that Hydra wants where an override adds to the configuration.
    """
    options, overrides = _split(arguments)
    prepared = []
    names: dict[str, Override] = {}
    for raw in overrides:
        override = _parse(raw)
        _check_key(override)
        name = override.key_or_group
        names[name] = override
        bare = not raw.startswith(("+", "~"))
        if bare and name.startswith("train."):
            raw = f"++{raw}"
        elif bare and name == "experiment":
            raw = f"+{raw}"
        prepared.append(raw)
    if "resume" in names and (others := sorted(set(names) - ALLOWED_WITH_RESUME)):
        raise ConfigError(
            f"{others[0]}: cannot be changed by resume, which continues with the run's own "
            f"settings; allowed are {', '.join(sorted(ALLOWED_WITH_RESUME))}"
        )
    if "machine" not in names:
        device = names["device"].value() if "device" in names else None
        gpu = has_gpu() if device is None else str(device) != "cpu"
        prepared.append(f"machine={'gpu' if gpu else 'cpu'}")
    return [*options, *prepared]


def plain(composed: DictConfig) -> dict:
    """Return a composed configuration as a plain nested dictionary, interpolations resolved."""
    container = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items() if key != "hydra"}


def check_sweep(arguments: Sequence[str], precheck: Callable[[Config], None]) -> None:
    """Validate every job of a sweep, and what it names on disk, before the first one starts."""
    choices: list[list[str]] = []
    for raw in _split(arguments)[1]:
        override = _parse(raw)
        if override.is_hydra_override():
            continue
        if override.is_sweep_override() and override.is_discrete_sweep():
            key = override.input_line.split("=", 1)[0] if override.input_line else ""
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        elif not override.is_sweep_override():
            choices.append([raw])
    for combination in islice(product(*choices), MAX_JOBS_CHECKED):
        precheck(_compose(combination))


def compose_config(overrides: Sequence[str] = ()) -> Config:
    """Return the configuration that the command line would use for ``overrides``.

    Raises:
        ConfigError: one line about the first mistake.
    """
    register()
    return _compose(prepare(overrides))


def _compose(overrides: Sequence[str]) -> Config:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return validate(plain(compose("config", overrides=list(overrides))))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(" ".join(str(error).split())) from None


def _place(config: Config) -> Config:
    """Give each job of a sweep a run folder of its own."""
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return config
    folder = Path(config.output) / str(hydra.job.num) if config.output else hydra.runtime.output_dir
    return replace(config, output=str(folder))


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate Hydra's options, with the values of those that take one, from overrides."""
    options: list[str] = []
    overrides: list[str] = []
    for argument in arguments:
        value = bool(options) and options[-1] in OPTIONS_WITH_VALUE
        option = argument.partition("=")[0]
        if argument.startswith("-") and not value and option not in OPTIONS:
            raise ConfigError(f"{option}: unknown option; {suggest(option, OPTIONS)}")
        (options if value or argument.startswith("-") else overrides).append(argument)
    return options, overrides


def _parse(raw: str) -> Override:
    try:
        return OverridesParser.create().parse_override(raw)
    except HydraException:
        raise ConfigError(
            f"{raw}: not an override; write KEY=VALUE, or \"KEY='VALUE'\" with special characters"
        ) from None


def _check_key(override: Override) -> None:
    name = override.key_or_group
    if override.is_hydra_override() or name in KEYS:
        return
    if name in GROUPS:
        values = [override.value()]
        if override.is_sweep_override() and override.is_discrete_sweep():
            values = list(override.sweep_string_iterator())
        for value in values:
            if str(value) not in group_options(name):
                raise ConfigError(f"{name}={value}: {suggest(str(value), group_options(name))}")
        return
    if name.startswith("train."):
        argument = name.removeprefix("train.")
        if argument.split(".")[0] in {*ultralytics_defaults(), *OWN_KEY}:
            return
        known = [f"train.{key}" for key in ultralytics_defaults()]
        raise ConfigError(f"{name}: unknown argument; {suggest(name, known)}")
    raise unknown_key(name)


def help_text() -> str:
    """Write ``--help``: every key and group with its sentence."""
    width = max(len(name) for name in [*KEYS, *GROUPS]) + 2
    lines = ["Train an object detector progressively.", ""]
    lines += ["    python -m progressive.run stages=4 size.min=320 size.max=640", ""]
    lines += ["Keys (KEY=VALUE):"]
    lines += [f"  {name:<{width}}{key.help}" for name, key in KEYS.items()]
    lines += ["", "Groups (GROUP=OPTION):"]
    for name, sentence in GROUPS.items():
        options = group_options(name)
        lines += [f"  {name:<{width}}{sentence}", f"  {'':<{width}}{_wrapped(options, width + 2)}"]
    lines += [
        "",
        "Options:",
        f"  {'--cfg job':<{width}}Print the configuration and stop.",
        f"  {'-m':<{width}}Sweep: one job per combination, as in -m seed=0,1,2 stages=1,4.",
        "",
    ]
    return "\n".join(lines).replace("$", "$$")  # Hydra reads it as a string.Template


def _wrapped(options: Sequence[str], indent: int) -> str:
    rows = re.findall(r".{1,70}(?:, |$)", ", ".join(options))
    return ("\n" + " " * indent).join(row.rstrip() for row in rows)
