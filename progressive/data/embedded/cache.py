"""Where generated data sets live, and how one is built exactly once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CACHE_VARIABLE = "PROGRESSIVE_CACHE"


def cache_root() -> Path:
    """Return the absolute cache folder, which may not exist yet.

    `$PROGRESSIVE_CACHE` if set, else `$XDG_CACHE_HOME/progressive`, else `~/.cache/progressive`.
    """
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser().absolute()
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says that a relative value is to be ignored.
    base = xdg if xdg.is_absolute() else Path.home() / ".cache"
    return base / "progressive"


def fingerprint(spec: DataclassInstance) -> str:
    """Return eight hexadecimal digits that change with any value of a dataclass."""
    return hashlib.sha256(repr(sorted(asdict(spec).items())).encode()).hexdigest()[:8]


def build_once(
    folder: Path, build: Callable[[Path], None], complete: Callable[[Path], bool]
) -> Path:
    """Return `folder`, after `build` has filled it if it was not `complete`.

    The work happens in a temporary sibling that is renamed into place, so `folder` is never seen
    half made: not by a second process, and not after a crash. Of two processes building at once
    the first to finish wins and the other uses its result.

    Raises:
        OSError: the folder cannot be written; the message names it and the variable to set.
    """
    if complete(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
        ) as scratch:
            # One level down, because a temporary directory itself is private to its user (0700).
            made = Path(scratch) / folder.name
            made.mkdir()
            build(made)
            _publish(made, folder, complete)
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    return folder


def unwritable(folder: Path, error: OSError) -> OSError:
    """Return the error to raise when `folder`, inside the cache, cannot be written."""
    reason = error.strerror or str(error)
    return OSError(
        f"cannot write the data set cache {folder}: {reason}; "
        f"set {CACHE_VARIABLE} to a folder that can be written"
    )


def _publish(made: Path, folder: Path, complete: Callable[[Path], bool], attempts: int = 3) -> None:
    """Rename `made` to `folder`, unless a complete `folder` has appeared meanwhile.

    An incomplete `folder` (files deleted by hand or by a cleaner of temporary files) is moved
    next to `made`, to be removed with it. Another process may do the same at the same moment,
    hence the attempts.
    """
    for attempt in range(attempts):
        try:
            made.rename(folder)
            return
        except OSError:
            if complete(folder):
                return
            if attempt == attempts - 1:
                raise
        with suppress(FileNotFoundError):
            folder.rename(made.with_name(f"incomplete-{attempt}"))
