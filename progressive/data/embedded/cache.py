"""Where generated data sets are stored, and how each is built exactly once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: Environment variable that sets the cache folder.
CACHE_VARIABLE = "PROGRESSIVE_CACHE"

#: The dataclass that describes a data set.
Spec = TypeVar("Spec", bound="DataclassInstance")


def cache_root() -> Path:
    """Return the absolute cache folder, which may not exist yet.

    `$PROGRESSIVE_CACHE` if set, else `$XDG_CACHE_HOME/progressive`, else `~/.cache/progressive`.
    """
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser().absolute()
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says that a relative value must be ignored.
    base = xdg if xdg.is_absolute() else Path.home() / ".cache"
    return base / "progressive"


def fingerprint(spec: DataclassInstance) -> str:
    """Return eight hexadecimal digits that change with any value of a dataclass."""
    return hashlib.sha256(repr(sorted(asdict(spec).items())).encode()).hexdigest()[:8]


def cached(
    name: str,
    spec: Spec,
    root: Path | None,
    write: Callable[[Path, Spec], None],
    complete: Callable[[Path, Spec], bool],
) -> Path:
    """Return the folder of a data set in the cache, generating the data set if needed.

    Args:
        name: name of the folder, before the fingerprint of `spec`.
        spec: everything that the data set depends on.
        root: cache folder; None for the one of `cache_root()`.
        write: generates the data set into a folder, which exists and is empty.
        complete: whether a folder contains the whole data set.

    Raises:
        OSError: the cache folder cannot be written.
    """
    base = cache_root() if root is None else Path(root).absolute()
    folder = base / f"{name}-{fingerprint(spec)}"
    return build_once(folder, lambda made: write(made, spec), lambda found: complete(found, spec))


def build_once(
    folder: Path, build: Callable[[Path], None], complete: Callable[[Path], bool]
) -> Path:
    """Return `folder`, after calling `build` to fill it unless it is `complete`.

    `build` works in a temporary folder next to `folder`, which is then renamed. So nobody ever sees
    a half-built `folder`, neither another process nor the next run after a crash. If two processes
    build at once, the first one to finish wins, and the other one uses its result.

    Raises:
        OSError: the folder cannot be written. The message names it and the variable to set.
    """
    if complete(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
        ) as scratch:
            # A folder inside it, because only its owner may read a temporary directory (mode 0700).
            made = Path(scratch) / folder.name
            made.mkdir()
            build(made)
            _publish(made, folder, complete)
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    return folder


def unwritable(folder: Path, error: OSError) -> OSError:
    """Return the error to raise if `folder`, inside the cache, cannot be written."""
    reason = error.strerror or str(error)
    return OSError(
        f"cannot write the data set cache {folder}: {reason}; "
        f"set {CACHE_VARIABLE} to a folder that can be written"
    )


def _publish(made: Path, folder: Path, complete: Callable[[Path], bool], attempts: int = 3) -> None:
    """Rename `made` to `folder`, unless another process has built a complete `folder` meanwhile.

    If `folder` is incomplete (someone has deleted files from it), it is moved next to `made` and
    later removed with it. Another process may do the same at the same moment, so try several times.
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
