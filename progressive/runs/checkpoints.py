"""Checkpoints of a run as files: written whole or not at all, verified when read, two of them kept.

A checkpoint is a safetensors file: a header in JSON, then the bytes of tensors. Nothing in it can
be executed. Its header holds a SHA-256 of the file, taken with zeros in the place of the sum.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from progressive.errors import InputError

#: Folder of the checkpoints in a run folder.
CHECKPOINTS = "checkpoints"

#: How many are kept: the newest, and the one before in case that is damaged.
KEPT = 2

#: In the header until the sum is known.
NO_SUM = "0" * 64

_SUFFIX = ".safetensors"


class DamagedError(InputError):
    """A checkpoint is not what was written."""


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint.

    Attributes:
        path: its file.
        content: the file's bytes.
        state: what it holds besides tensors.
    """

    path: Path
    content: bytes
    state: dict[str, Any]

    @property
    def position(self) -> tuple[int, int]:
        """Epoch, counted from 0, and how many of its batches are trained."""
        return _position(self.path)


def name_of(epoch: int, batch: int) -> str:
    """Return the file name of the checkpoint in an epoch after so many of its batches."""
    return f"epoch-{epoch:05d}-batch-{batch:07d}{_SUFFIX}"


def write(folder: Path, name: str, content: bytes) -> Path:
    """Seal a checkpoint, write it into a run folder and drop all but the last two.

    Args:
        folder: of the run.
        name: of the file, by `name_of`.
        content: in safetensors' format, with `NO_SUM` as `sha256` of its metadata.

    Raises:
        OSError: it could not be written; the checkpoints before are whole.
    """
    path = folder / CHECKPOINTS / name
    replace_whole(path, _sealed(content))
    position = _position(path)
    others = [found for found in _found(folder) if found != path]
    kept = [found for found in others if _position(found) < position][: KEPT - 1]
    for other in others:
        if other not in kept:  # also a damaged one, ahead of where the run was resumed
            other.unlink(missing_ok=True)
    return path


def replace_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step, its bytes flushed to the disk first.

    Raises:
        OSError: the file is as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # some file systems cannot flush a folder
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint of a run that is not damaged, and a line on each that is."""
    complaints: list[str] = []
    for path in _found(folder):
        try:
            return read(path), complaints
        except DamagedError as error:
            complaints.append(str(error))
    return None, complaints


def exists(folder: Path) -> bool:
    """Tell whether a run folder has a checkpoint, damaged or not."""
    return bool(_found(folder))


def read(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        DamagedError: it cannot be read or is not what was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedError(f"{path}: {error.strerror or error}") from None
    try:
        metadata = _header(content)["__metadata__"]
        recorded = metadata["sha256"]
        state = json.loads(metadata["state"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DamagedError(f"{path}: is damaged: it has no readable header") from None
    blank = content.replace(str(recorded).encode(), NO_SUM.encode(), 1)
    if sha256(blank).hexdigest() != recorded or not isinstance(state, dict):
        raise DamagedError(f"{path}: is damaged: its checksum does not fit")
    return Checkpoint(path, content, state)


def is_whole(path: Path) -> bool:
    """Tell whether a file of PyTorch, a zip archive with checksums, is what was written."""
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, BadZipFile, EOFError, zlib.error):
        return False


def _sealed(content: bytes) -> bytes:
    start = content.index(b'"sha256":"' + NO_SUM.encode())
    return content[:start] + content[start:].replace(
        NO_SUM.encode(), sha256(content).hexdigest().encode(), 1
    )


def _header(content: bytes) -> dict[str, Any]:
    """Return the header of safetensors' format: its length in 8 bytes, then JSON."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])


def _found(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the newest first."""
    paths = (folder / CHECKPOINTS).glob(f"epoch-*-batch-*{_SUFFIX}")
    return sorted((path for path in paths if path.is_file()), key=_position, reverse=True)


def _position(path: Path) -> tuple[int, int]:
    try:
        _, epoch, _, batch = path.name.removesuffix(_SUFFIX).split("-")
        return int(epoch), int(batch)
    except ValueError:
        return -1, -1
