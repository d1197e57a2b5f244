"""Hydra's complaints in one line, with what was probably meant, and exit code 2."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb
from types import CodeType
from typing import NoReturn

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from progressive.config.complaints import keys, unknown_key
from progressive.config.model import GROUPS, Config
from progressive.errors import InputError, suggest

#: What Hydra and we raise where the command line, or a file that it names, is wrong. Of Python's
#: own: wrong combinations of options, unreadable files, and the warning about `hydra.searchpath`.
MISTAKES = (
    *(HydraException, OmegaConfBaseException),
    *(ValueError, OSError, yaml.YAMLError, UserWarning),
)


@contextmanager
def one_line(job: CodeType | None = None) -> Iterator[None]:
    """End the process with code 2 and one line on stderr for a mistake in the input.

    Args:
        job: code of a function whose exceptions are no mistakes in the input but defects of ours.
    """
    try:
        yield
    except MISTAKES as error:
        if any(frame.f_code is job for frame, _ in walk_tb(error.__traceback__)):
            raise
        fail(error)


def fail(error: Exception) -> NoReturn:
    """Print `error` as one line and exit with code 2."""
    try:
        print(f"progressive: {said(error)}", file=sys.stderr)
    finally:  # also where nobody listens
        raise SystemExit(2)


def said(error: Exception) -> str:
    """Return a complaint, Hydra's or ours, as one line."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: not an override; write KEY=VALUE, or \"KEY='VALUE'\" with special "
            "characters"
        )
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option}: {suggest(option, error.options)}"
    text = str(error)
    if isinstance(error.__cause__, OmegaConfBaseException):
        text = f"{text} {error.__cause__}"
    if found := re.match(r"Could not override '([^']+)'\.\s+To append to your config", text):
        known = [*keys(Config), *GROUPS]
        if found[1].startswith("hydra."):
            return f"{found[1]}: unknown key; --cfg hydra shows those of Hydra"
        if found[1] not in known:
            return str(unknown_key(found[1], known))
    if found := re.match(r"Error merging override ((.+?)=.*) Cannot merge DictConfig with", text):
        return f"{found[1]}: write {found[2]}.KEY=VALUE"
    if found := re.match(r"provider=.*, path=(.*) is not available", text):
        return f"hydra.searchpath: {found[1]}: no such folder"
    return " ".join(text.split())
