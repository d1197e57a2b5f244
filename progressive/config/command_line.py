"""From the command line to validated configurations; the options of the command are Hydra's."""

from __future__ import annotations

import os
import sys
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from hydra import compose, initialize_config_dir
from hydra import main as hydra_main
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from progressive.config.foreign import refuse_code
from progressive.config.hydra_errors import MISTAKES, fail, leave, one_line, said
from progressive.config.jobs import to_config
from progressive.config.model import Config
from progressive.config.options import conf_dir, register, respelled
from progressive.errors import ConfigError, InputError, suggest, why_not_written

#: How Hydra warns of a folder of `hydra.searchpath` that is not there.
NO_FOLDER = "provider=.* is not available"


def run_with_hydra(job: Callable[[Config], float | None]) -> None:
    """Let Hydra read the command line, and call `job` with each configuration it asks for.

    What `job` returns is the objective of Hydra's sweepers. `CheckFirst` checks all jobs before the
    first one starts. A mistake in the input ends the process with exit code 2 and one line on
    stderr.
    """
    # Hydra prints tracebacks and exits with 1 unless told to let exceptions through.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    warnings.filterwarnings("error", NO_FOLDER, UserWarning)

    def task(composed: DictConfig) -> float | None:
        with one_line():
            config = to_config(composed, HydraConfig.get())
        try:
            return job(config)
        except InputError as error:
            fail(error)  # Hydra would add a line of its own to an exception
        except BrokenPipeError:
            leave()
        except OSError as error:  # a full disk, a folder that cannot be written
            if (reason := why_not_written(error)) is None:
                raise
            fail(InputError(reason))

    with one_line(task.__code__):
        sys.argv[1:] = hydra_arguments(sys.argv[1:])
        hydra_main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(task)()


def compose_config(overrides: Sequence[str] = ()) -> Config:
    """Return the configuration that the command line would use for `overrides`.

    Raises:
        ConfigError: one line about the first mistake.
    """
    overrides = [respelled(override) for override in overrides]
    register(overrides)
    GlobalHydra.instance().clear()
    try:
        with (
            warnings.catch_warnings(),
            initialize_config_dir(str(conf_dir()), version_base="1.3"),
        ):
            warnings.filterwarnings("error", NO_FOLDER, UserWarning)
            composed = compose("config", overrides=overrides, return_hydra_config=True)
            HydraConfig.instance().set_config(composed)
            return to_config(composed, composed.hydra)
    except MISTAKES as error:
        raise ConfigError(said(error)) from None


def hydra_arguments(arguments: Sequence[str]) -> list[str]:
    """Return arguments as Hydra's parser takes them, overrides in one piece, and register options.

    Raises:
        ConfigError: an unknown option, or one whose value is wrong.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    given, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        option = unknown[0].partition("=")[0]
        known = [name for action in parser._actions for name in action.option_strings]
        raise ConfigError(f"{option}: unknown option; {suggest(option, known)}")
    overrides = [respelled(override) for override in given.overrides]
    register(overrides)
    if not (given.cfg or given.help or given.hydra_help or given.info or given.shell_completion):
        refuse_code(given, overrides)
    if given.cfg and given.multirun:  # Hydra shows a single job only
        package, resolve = repr(given.package or ""), str(given.resolve).lower()
        show = f"{{cfg_type:{given.cfg},package:{package},resolve:{resolve}}}"
        overrides.append(f"hydra.callbacks.check_first.show={show}")
        given.cfg = given.package = given.resolve = None
    return [*overrides, *_options(parser, given)]


def _options(parser: ArgumentParser, given: Namespace) -> Iterator[str]:
    """Write the options that were given the way the parser reads them."""
    for action in parser._actions:
        value = getattr(given, action.dest, None)
        if action.option_strings and value:
            yield action.option_strings[0]
            if value is not True:
                yield value


def _refuse(message: str) -> NoReturn:
    raise ConfigError(message)
