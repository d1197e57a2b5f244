"""The error classes, and the one "did you mean"."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches

#: What the system answers where a file cannot be written or reached, through no fault of a program.
UNWRITABLE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO, errno.ENAMETOOLONG),
)


class InputError(ValueError):
    """Bad input, said in one line: what is wrong, its value, and what would be right.

    The command line prints it without a traceback and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        """Take the message; line breaks in it, from a path for example, become blanks.

        Of an error in a process that loads data torch makes a new one, with a traceback as its
        message. Our own message is the last line of that.
        """
        if message.startswith("Caught ") and "\nOriginal Traceback " in message:
            message = message.rstrip().splitlines()[-1].partition(": ")[2]
        super().__init__(" ".join(message.splitlines()))


class ConfigError(InputError):
    """A wrong configuration: the message names the key, the value and what would be right."""


class DatasetError(InputError):
    """A data set cannot be used; the message names the file and says what would be right."""


class WeightsError(InputError):
    """Weights that cannot be had, cannot be read or do not fit."""


def why_not_written(error: Exception) -> str | None:
    """Return in a few words why a file could not be written; None for an error of another kind."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        file = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return f"{file}{error.strerror}"
    if isinstance(error, OSError) and error.errno is None and isinstance(error.__cause__, OSError):
        return str(error)  # ours, which says more
    if "PytorchStreamWriter" in str(error):  # native code, which does not say why
        return "a file could not be written whole; the disk may be full"
    return None


def nearest(value: str, options: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the option that looks most like `value`, or None if none does.

    Args:
        value: what was written.
        options: what may be written.
        cutoff: how alike the two must be, 0 to 1.
    """
    found = get_close_matches(value, list(options), n=1, cutoff=cutoff)
    return found[0] if found else None


def suggest(
    value: str, options: Iterable[str], otherwise: str | None = None, cutoff: float = 0.6
) -> str:
    """Say which option was probably meant, or `otherwise`, or list all options."""
    options = sorted(options)
    if near := nearest(value, options, cutoff):
        return f"did you mean {near}?"
    return otherwise or f"must be one of {', '.join(options)}"
