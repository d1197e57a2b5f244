"""Inspect a pickle without running any code in it.

A pickle can call every function and class that it names. Here each of them is replaced by a
placeholder. So an untrusted file can be judged by what it names and calls, before it is unpickled.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Collection
from typing import IO, Any


class ForbiddenPickleError(pickle.UnpicklingError):
    """The pickle names or calls something that a normal file of its kind does not."""


def inspect_pickle(
    stream: IO[bytes],
    *,
    allowed: Collection[str] | None = None,
    uncallable: Collection[str] = (),
    fixed: Collection[str] = (),
    seen: set[str] | None = None,
) -> None:
    """Read a pickle to its end, with placeholders for all functions and classes.

    Args:
        stream: a stream at the start of the pickle.
        allowed: full names of the functions and classes that the pickle may name; None allows all.
        uncallable: full names of classes that the pickle may name, but not call with arguments. A
            normal pickle creates an object empty and then sets its attributes. Only a forged one
            calls the class with arguments.
        fixed: full names of what the pickle may call, but whose result it may not change: members
            of an enumeration are the whole process's.
        seen: to which all names are added.

    Raises:
        ForbiddenPickleError: the pickle names something that is not in `allowed`, calls something
            in `uncallable` or changes something in `fixed`.
        Exception: the pickle is damaged. Damaged bytes can raise anything.
    """
    _Inspector(stream, allowed, uncallable, fixed, set() if seen is None else seen).load()


def read_names(stream: IO[bytes]) -> Any:
    """Read a pickle to its end; each object becomes a `Placeholder` whose class has its name.

    Args:
        stream: a stream at the start of the pickle.

    Raises:
        Exception: the pickle is damaged. Damaged bytes can raise anything.
    """
    return _Names(stream).load()


class _Names(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        ordered = (module, name) == ("collections", "OrderedDict")
        return OrderedDict if ordered else type(name, (Placeholder,), {})

    def persistent_load(self, pid: Any) -> Any:
        del pid
        return Placeholder()


class _Inspector(pickle.Unpickler):
    """Unpickles placeholders instead of the functions and classes that a pickle names."""

    def __init__(
        self,
        stream: IO[bytes],
        allowed: Collection[str] | None,
        uncallable: Collection[str],
        fixed: Collection[str],
        seen: set[str],
    ) -> None:
        super().__init__(stream)
        self.allowed = allowed
        self.uncallable = uncallable
        self.fixed = fixed
        self.seen = seen

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        self.seen.add(full)
        if self.allowed is not None and full not in self.allowed:
            raise ForbiddenPickleError(f"names {full}, which may execute code")
        if full in self.uncallable:
            return _Uncallable(name, (Placeholder,), {})
        if full in self.fixed:
            return _Fixed
        return OrderedDict if full == "collections.OrderedDict" else Placeholder

    def persistent_load(self, pid: Any) -> Any:
        del pid
        return Placeholder()


class Placeholder:
    """Accepts everything that a pickle does with an object, and keeps nothing."""

    def __new__(cls, *_: Any) -> Any:
        """Make one, whatever arguments the pickle has for it."""
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Take an element of a list."""


class _Fixed(Placeholder):
    """What may not be changed."""

    def __setstate__(self, state: Any) -> None:
        raise ForbiddenPickleError("changes a member of an enumeration")


class _Uncallable(type):
    """The type of a placeholder class that refuses to be called with arguments."""

    def __call__(cls, *arguments: Any) -> Any:
        if arguments:
            raise ForbiddenPickleError(f"calls {cls.__name__}")
        return super().__call__()
