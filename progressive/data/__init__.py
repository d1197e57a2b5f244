"""Data sets: the embedded ones, and checks of a user's own.

Importing this package loads nothing heavy. An embedded data set is generated on first use.
"""

from __future__ import annotations

import os
from pathlib import Path

from progressive.data.classification import check_image_folder
from progressive.data.detection import DatasetInfo, check_dataset, refuse_remote
from progressive.data.embedded import EMBEDDED, embedded_names
from progressive.data.embedded.cache import cache_root
from progressive.data.messages import did_you_mean, shown
from progressive.data.pin import pin
from progressive.data.selection import check_selection
from progressive.errors import DatasetError, nearest

__all__ = [
    "EMBEDDED",
    "DatasetError",
    "DatasetInfo",
    "check",
    "check_dataset",
    "check_image_folder",
    "check_selection",
    "pin",
    "resolve",
]

#: What a user gives to train on their own data, by task.
_OWN = {"classify": "a folder with train/ and val/"}
_YAML = "the path of a data.yaml"


def check(data: str, task: str) -> DatasetInfo | None:
    """Check the data set that a user names, without writing anything.

    Args:
        data: name of an embedded data set, path of a data yaml, or (for classify) path of a folder.
        task: 'detect', 'classify', 'segment', 'pose', 'obb' or 'semantic'.

    Returns:
        What is known about the data set. None for an embedded one, which may not exist yet.

    Raises:
        DatasetError: there is no such data set, it is for another task, or it cannot be used for
            training.
    """
    embedded, own = embedded_names(task), _OWN.get(task, _YAML)
    if data in embedded:
        return None
    if data in EMBEDDED:
        raise DatasetError(
            f"data: {shown(data)} is for task={EMBEDDED[data].task}; for task={task} use "
            f"{', or '.join([*embedded, own])}"
        )
    refuse_remote(data)
    path = Path(data).expanduser()
    # For a name that is too long, os.path.exists returns False; Path.exists raises an error.
    if not {"/", "\\"} & set(data) and not os.path.exists(path):  # noqa: PTH110
        close = nearest(path.stem.lower(), embedded)
        hint = f"; did you mean {close!r}?" if close else did_you_mean(path.absolute())
        raise DatasetError(
            f"data: {shown(data)} is neither a {'folder' if task == 'classify' else 'file'} nor "
            f"an embedded data set ({', '.join(embedded or EMBEDDED)}){hint or f'; give {own}'}"
        )
    return check_image_folder(path) if task == "classify" else check_dataset(path, task)


def resolve(data: str, task: str) -> DatasetInfo:
    """Return the data set that a user names, ready for training.

    An embedded data set is generated if needed. The `source` of the result is safe to give to
    Ultralytics: the absolute path of a checked folder, or a yaml made by `progressive.data.pin`.

    Args:
        data: as in `check`.
        task: as in `check`.

    Raises:
        DatasetError: as in `check`; or the cache folder cannot be written; or a package that an
            embedded data set is made from is incomplete.
    """
    info = check(data, task)
    try:
        if info is None:
            source = EMBEDDED[data].make()
            return check_image_folder(source) if task == "classify" else check_dataset(source)
        return info if task == "classify" else pin(info, cache_root() / "pinned")
    except OSError as error:
        raise DatasetError(str(error)) from error
