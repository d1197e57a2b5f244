"""Hydra's complaints in one line, with what was probably meant, and exit code 2."""

from __future__ import annotations

import os
import re
import signal
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


def leave() -> NoReturn:
    """End the process without a word: nobody reads any more, as behind `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed at the exit
    raise SystemExit(128 + signal.SIGPIPE)


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
    text, cause = str(error), error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        text = f"{text} {cause}"
    if found := re.match(r"Could not override '([^']+)'\.\s+To append to your config", text):
        key, inner = found[1], str(getattr(cause, "full_key", ""))
        return _unknown(inner if inner.startswith(f"{key}.") else key) or _joined(text)
    if found := re.match(r"Error merging override ((.+?)=.*) Cannot merge DictConfig with", text):
        return f"{found[1]}: write {found[2]}.KEY=VALUE"
    if found := re.match(r"provider=.*, path=(.*) is not available", text):
        return f"hydra.searchpath: {found[1]}: no such folder"
    return _joined(text)


def _unknown(key: str) -> str | None:
    """Return the line for a key that does not exist, None for one that does."""
    known = [*keys(Config), *GROUPS]
    if key.startswith("hydra."):
        return f"{key}: unknown key; --cfg hydra shows those of Hydra"
    return None if key in known else str(unknown_key(key, known))


def _joined(text: str) -> str:
    return " ".join(text.split())
