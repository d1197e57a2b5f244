"""Read a pickle without executing anything in it.

A pickle may call whatever it names. Here every class in it is replaced by a placeholder, so that a
file from somewhere else can be judged by what it names and calls before the real reader sees it.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Collection
from typing import IO, Any


class ForbiddenPickleError(pickle.UnpicklingError):
    """The pickle names or calls something that no honest file of its kind does."""


def inspect_pickle(
    stream: IO[bytes],
    *,
    allowed: Collection[str] | None = None,
    uncallable: Collection[str] = (),
) -> None:
    """Read a pickle to its end with placeholders only.

    Args:
        stream: at the start of the pickle.
        allowed: full names of all that it may name; None for anything.
        uncallable: full names of classes that it may name, but not call with arguments. An object
            is pickled as an empty one and its attributes; only a forged file calls its class.

    Raises:
        ForbiddenPickleError: it names what is not allowed, or calls what must not be called.
        Exception: it is damaged, in whatever way its bytes happen to fail.
    """
    _Inspector(stream, allowed, uncallable).load()


class _Inspector(pickle.Unpickler):
    def __init__(
        self, stream: IO[bytes], allowed: Collection[str] | None, uncallable: Collection[str]
    ) -> None:
        super().__init__(stream)
        self.allowed = allowed
        self.uncallable = uncallable

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if self.allowed is not None and full not in self.allowed:
            raise ForbiddenPickleError(f"names {full}, which may execute code")
        if full in self.uncallable:
            return _Uncallable(name, (_Placeholder,), {})
        return OrderedDict if full == "collections.OrderedDict" else _Placeholder

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
            raise ForbiddenPickleError(f"calls {cls.__name__}")
        return super().__call__()
