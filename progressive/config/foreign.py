"""Refuse configurations that choose code to run: files of options may come from others.

Hydra makes an object of whatever `_target_` names, and Python's logging of whatever `class` and
`()` name. Hydra itself refuses names that are known to execute something. Here all are refused but
those that this package ships, Hydra's own plugins, and what the user names in Hydra's variable
HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from progressive.config.options import conf_dir
from progressive.errors import ConfigError

#: Where users name classes of their own.
TRUSTED = "HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE"

#: What this package ships in `conf/config.yaml`, by key.
SHIPPED = {
    "hydra.callbacks.check_first._target_": {"progressive.config.jobs.CheckFirst"},
    "hydra.callbacks.check_first.precheck._target_": {"hydra.utils.get_method"},
    "hydra.callbacks.check_first.precheck.path": {"progressive.run.precheck_all"},
    "hydra.callbacks.check_first.report._target_": {"hydra.utils.get_method"},
    "hydra.callbacks.check_first.report.path": {"progressive.run.report_sweep"},
}

#: Plugins of Hydra; those that are not its own are packages that the user has installed.
PLUGINS = ("hydra._internal.core_plugins.", "hydra_plugins.")

#: What a logging configuration may refer to outside of itself.
STREAMS = {"ext://sys.stdout", "ext://sys.stderr"}

#: Keys of Hydra that nobody needs here, and that can make another program of this one.
CLOSED = {"hydra.job.env_set": "set it in the shell", "hydra.job.env_copy": "set it in the shell"}


def refuse_code(given: Namespace, overrides: Sequence[str]) -> None:
    """Compose what the command line asks for, and refuse it if it chooses code to run.

    Costs nothing where only keys of a run are given.

    Args:
        given: options of Hydra's command line.
        overrides: as Hydra takes them.

    Raises:
        ConfigError: names the key and the code.
        HydraException: it cannot be composed.
    """
    for text in filter(None, (*overrides, given.config_path, given.config_dir)):
        if "pkg://" in text:
            raise ConfigError(f"{text}: imports a package; name a folder instead")
    own = [override for override in overrides if override.lstrip("+~").startswith("hydra")]
    if not (own or given.config_dir or given.config_path or given.config_name):
        return
    module, folder = "progressive.config.command_line", given.config_path or str(conf_dir())
    path = create_automatic_config_search_path(None, module, folder)
    if given.config_dir:
        place, anchor = os.path.abspath(given.config_dir), SearchPathQuery(provider="schema")  # noqa: PTH100
        path.prepend(provider="command-line", path=f"file://{place}", anchor=anchor)
    loader, name = ConfigLoaderImpl(config_search_path=path), given.config_name or "config"
    _refuse_packages(loader, name)
    composed = loader.load_configuration(
        name, list(overrides), run_mode=RunMode.MULTIRUN, validate_sweep_overrides=False
    )
    refuse_targets(composed.hydra)


def refuse_targets(hydra: DictConfig) -> None:
    """Refuse Hydra's section of a configuration if it chooses code to run.

    Raises:
        ConfigError: names the key and the code.
    """
    trusted = set(filter(None, os.environ.get(TRUSTED, "").split(":")))
    for key, value in _leaves(hydra, "hydra"):
        name = key.rpartition(".")[2]
        logging = key.startswith(("hydra.job_logging.", "hydra.hydra_logging."))
        text = str(value)
        if key in SHIPPED:
            allowed = text in SHIPPED[key]
        elif name == "_target_":
            plugin = key in ("hydra.sweeper._target_", "hydra.launcher._target_")
            allowed = (plugin and text.startswith(PLUGINS)) or text in trusted
        elif logging and name in ("()", "class"):
            allowed = text.startswith("logging.") or text in trusted
        else:
            allowed = not (logging and "ext://" in text) or text in STREAMS
        if not allowed:
            raise ConfigError(
                f"{key}={text}: chooses code to run; if you trust it, name it in the variable "
                f"{TRUSTED}"
            )
        for closed, advice in CLOSED.items():
            if key.startswith(f"{closed}."):
                raise ConfigError(f"{key}={text}: cannot be set here; {advice}")


def _refuse_packages(loader: ConfigLoaderImpl, name: str) -> None:
    """Refuse packages in the search path of a primary configuration, which would be imported."""
    found = loader.repository.load_config(name)
    if found is None or not isinstance(found.config, DictConfig):
        return
    for entry in OmegaConf.select(found.config, "hydra.searchpath") or ():
        if "pkg://" in str(entry):
            raise ConfigError(f"hydra.searchpath: {entry}: imports a package; name a folder")


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield every value with its dotted key, interpolations resolved where that is possible."""
    if isinstance(node, (DictConfig, ListConfig)) and not node._is_none():
        inside: Any = node
        for name in list(inside) if isinstance(node, DictConfig) else range(len(inside)):
            try:
                value = inside[name]
            except OmegaConfBaseException:  # what Hydra fills in later, or cannot use either
                continue
            yield from _leaves(value, f"{key}.{name}")
    else:
        yield key, node
