"""A fingerprint of a data set, so that two runs can be told to have seen the same images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any

DATA = "data.json"

#: Files that are read at most, of the images and of the labels of a part. More are sampled.
LIMIT = 2000


def fingerprint(files: Sequence[str | os.PathLike[str]], *, limit: int = LIMIT) -> dict[str, Any]:
    """Return number, size and hash of files, wherever they lie and in whatever order.

    The hash covers the name of every file, below the folder they have in common, and the contents
    of at most `limit` of them, spread evenly over the names in order.

    Args:
        files: to hash; one that does not exist, as the labels of an image without objects may not,
            is left out.
        limit: how many to read.

    Returns:
        `files` (their number), `bytes` (of those read), `sampled` (whether some were not read) and
        `hash` (32 hexadecimal digits).
    """
    names = _names(files)
    chosen = _spread(len(names), limit)
    with ThreadPoolExecutor() as threads:
        digests = dict(
            zip(chosen, threads.map(_digest, (names[i][1] for i in chosen)), strict=True)
        )
    total, size, count = blake2b(digest_size=16), 0, 0
    for place, (name, _) in enumerate(names):
        digest, length = digests.get(place, (b"", 0))
        if digest is None:
            continue
        count += 1
        size += length
        total.update(name.encode("utf-8", "surrogateescape") + b"\0" + digest)
    sampled = len(chosen) < len(names)
    return {"files": count, "bytes": size, "sampled": sampled, "hash": total.hexdigest()}


def _names(files: Sequence[str | os.PathLike[str]]) -> list[tuple[str, str]]:
    """Return files by their name below the folder they have in common, in the order of names."""
    # Strings: a data set may have a million files, and paths are ten times as slow.
    paths = {os.path.abspath(file) for file in files}  # noqa: PTH100
    if not paths:
        return []
    common = os.path.commonpath({os.path.dirname(path) for path in paths})  # noqa: PTH120
    start = len(common.rstrip(os.sep)) + 1
    return sorted((path[start:].replace(os.sep, "/"), path) for path in paths)


def _spread(count: int, limit: int) -> list[int]:
    if count <= limit:
        return list(range(count))
    return [round(i * (count - 1) / (limit - 1)) for i in range(limit)] if limit > 1 else [0]


def _digest(path: str) -> tuple[bytes | None, int]:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return None, 0
    return blake2b(content, digest_size=16).digest(), len(content)
