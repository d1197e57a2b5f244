"""One run, one folder: a lock that lasts as long as the process that took it, however it ends.

The lock is the operating system's own, on the file `.lock` of the folder, so that of a dead process
does not block.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from progressive.errors import ConfigError

#: Hidden, so that a folder with nothing else in it counts as empty.
LOCK = ".lock"

#: What the system answers if another process has the lock.
TAKEN = (errno.EACCES, errno.EAGAIN)


@contextmanager
def locked(folder: Path, asked: str) -> Iterator[None]:
    """Hold the lock of a folder, which must exist; on a file system without locks, nothing.

    Args:
        folder: to write into.
        asked: what the user wrote to name it, for the message.

    Raises:
        ConfigError: another process has it, or the folder cannot be written to. Names the process
            and its host.
    """
    path = folder / LOCK
    file = _open(path, asked)
    try:
        while _take(file, path, asked) and not _is(file, path):  # its holder has just removed it
            os.close(file)
            file = _open(path, asked)
        # Forked loader processes would share the lock, and outlive a killed run by seconds.
        os.register_at_fork(after_in_child=partial(_close, file, os.fstat(file)))
        os.ftruncate(file, 0)
        os.write(file, _holder().encode())
        try:
            yield
        finally:
            with suppress(OSError):
                if _is(file, path):
                    path.unlink()
    finally:
        os.close(file)


def refuse_if_locked(folder: Path, asked: str) -> None:
    """Raise ConfigError if another process has the lock of `folder`; write nothing."""
    path = folder / LOCK
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:  # nobody has taken it, or it is not ours to write
        return
    try:
        _take(file, path, asked)
    finally:
        os.close(file)


def _open(path: Path, asked: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(f"{asked}: {path}: {error.strerror or error}") from None


def _take(file: int, path: Path, asked: str) -> bool:
    """Take the lock; return False on a file system that has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in TAKEN:
            return False
        holder = os.pread(file, 1000, 0).decode("utf-8", errors="replace").strip()
        raise ConfigError(
            f"{asked}: {path.parent} is in use by {holder or 'another process'}"
        ) from None
    return True


def _is(file: int, path: Path) -> bool:
    """Tell whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _close(file: int, known: os.stat_result) -> None:
    """Close a file in a forked process, unless the number means another one by now."""
    with suppress(OSError):
        if os.path.samestat(os.fstat(file), known):
            os.close(file)


def _holder() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()}, since {since}\n"
