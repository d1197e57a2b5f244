"""Refuse checkpoints that call a layer's constructor, which may load other files.

A layer is pickled as an empty object and its attributes. Only a forged file calls its class.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any
from zipfile import ZipFile


def refuse_calls(path: Path, classes: frozenset[str]) -> None:
    """Read the pickle in a checkpoint with placeholders only, so that nothing in it is executed.

    Args:
        path: a zip archive as `torch.save` writes it.
        classes: full names of those that must not be called with arguments.

    Raises:
        UnpicklingError: one of them is.
        ValueError: the archive does not hold one pickle.
    """
    with ZipFile(path) as archive:
        found = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(found) != 1:
            raise ValueError("must hold one data.pkl")
        with archive.open(found[0]) as stream:
            _Inspector(stream, classes).load()


class _Inspector(pickle.Unpickler):
    def __init__(self, stream: Any, classes: frozenset[str]) -> None:
        super().__init__(stream)
        self.classes = classes

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" in self.classes:
            return _Uncallable(name, (_Placeholder,), {})
        return OrderedDict if (module, name) == ("collections", "OrderedDict") else _Placeholder

    def persistent_load(self, pid: Any) -> Any:
        del pid
        return _Placeholder()


class _Placeholder:
    """Takes whatever is done to it."""

    def __new__(cls, *_: Any) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        """Keep nothing."""

    def __setstate__(self, state: Any) -> None:
        """Keep nothing."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Keep nothing."""

    def append(self, value: Any) -> None:
        """Keep nothing."""


class _Uncallable(type):
    def __call__(cls, *arguments: Any) -> Any:
        """Take the place of a call of the class; unpickling an object does not get here."""
        if arguments:
            raise pickle.UnpicklingError(f"calls {cls.__name__}, which no saved detector does")
        return super().__call__()
