"""Read checkpoints of Ultralytics without letting them run code.

A checkpoint is a pickle, and a pickle can call anything. Those of this project contain only layers
and plain data. A file that names anything else is refused before any of it is unpickled.

`read_checkpoint` does not even build the layers: it takes out tensors and counters. So the model,
its arguments and everything else of a resumed run come from elsewhere.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from importlib import import_module
from itertools import islice
from math import isfinite
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from torch import nn

from progressive.errors import InputError
from progressive.safe_loading.pickles import ForbiddenPickleError, inspect_pickle
from progressive.safe_loading.weights import first_not_finite

Loaded = TypeVar("Loaded")

#: How Python 3.11.0 to 3.11.3 write a member of an enumeration, such as a mode of interpolation.
MEMBER = "builtins.getattr"

#: Packages whose layers a detector may contain.
PACKAGES = ("torch.nn.modules.", "ultralytics.nn.", "timm.", "progressive.detectors.")

#: Classes of plain data that layers and the trainer store.
DATA = ("timm.models._features.FeatureInfo", "ultralytics.utils.IterableSimpleNamespace")

#: Enumerations, whose members are pickled as a call with their value.
ENUMS = {"timm.layers.format.Format", "torchvision.transforms.functional.InterpolationMode"}

#: How a classifier of Ultralytics wants its images, which it is saved with.
TRANSFORMS = {
    f"torchvision.transforms.transforms.{name}"
    for name in ("Compose", "Resize", "CenterCrop", "ToTensor", "Normalize")
}

#: More tensors than any model here has by far.
MAX_TENSORS = 100_000

#: What damaged files raise.
DAMAGED = (
    *(OSError, RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(EOFError, UnpicklingError, BadZipFile, MemoryError, NotImplementedError),
)


@dataclass(frozen=True)
class Checkpoint:
    """Tensors and counters of an interrupted training.

    Attributes:
        path: where they were read.
        epoch: that was trained last, from 0; -1 when the run is finished.
        weights: of the averaged model, in float32, by name.
        updates: of the average.
        optimizer: what the optimizer keeps of each parameter, by the parameter's number; tensors
            and numbers by name.
        scaler: counters of the gradient scaler by name.
        best_fitness: highest fitness so far, None before the first validation.
        stopper: counters of early stopping by name.
    """

    path: Path
    epoch: int
    weights: Mapping[str, torch.Tensor]
    updates: int
    optimizer: Mapping[int, Mapping[str, Any]]
    scaler: Mapping[str, float]
    best_fitness: float | None
    stopper: Mapping[str, float]

    def check_fits(self, model: nn.Module) -> None:
        """Raise InputError unless the weights are those of `model`, name by name."""
        wanted = {name: value.shape for name, value in model.state_dict().items()}
        given = {name: value.shape for name, value in self.weights.items()}
        if wanted != given:
            names = [n for n in {**wanted, **given} if wanted.get(n) != given.get(n)]
            raise InputError(
                f"{self.path}: is of another model than config.yaml describes: {len(names)} "
                f"tensors differ, as {names[0]}"
            )


def read_checkpoint(path: Path, known: Collection[str] = ()) -> Checkpoint:
    """Read the tensors and counters of a checkpoint; no class that it names is used.

    Args:
        path: of the file.
        known: what it may name besides layers; see `names_in`.

    Raises:
        InputError: the file cannot be read, names what no checkpoint of ours does, or holds
            something else than numbers where numbers belong.
    """
    with_placeholders = _guarded(path, lambda _: _Layer, known)
    return _refuse_damage(path, lambda: _checkpoint(path, with_placeholders))


def load_layers(
    path: Path, map_location: Any = "cpu", known: Collection[str] = ()
) -> dict[str, Any]:
    """Load a checkpoint with its layers, as Ultralytics wants it.

    Args:
        path: of the file.
        map_location: as for `torch.load`.
        known: what it may name besides layers; see `names_in`.

    Raises:
        InputError: the file cannot be read, or it names something that is not a layer.
    """
    found = _guarded(path, lambda name: _class(path, name, known), known, map_location)
    if not isinstance(found, dict):
        raise InputError(f"{path}: is not a checkpoint that can be read: holds no mapping")
    return found


def names_in(model: nn.Module) -> frozenset[str]:
    """Return what a checkpoint of `model` names: full names of its classes and functions.

    A model that this process has built may hold more than layers, such as an activation that is a
    function. Names of the standard library are left out, since there are those that run code.
    """
    stream = io.BytesIO()
    _WithoutTensors(stream, protocol=4).dump(model)  # 2 has names of Python 2
    stream.seek(0)
    found: set[str] = set()
    inspect_pickle(stream, seen=found)
    return frozenset(
        name
        for name in found
        if name == "functools.partial" or name.partition(".")[0] not in sys.stdlib_module_names
    )


class _WithoutTensors(pickle.Pickler):
    """Pickles a model, but for what it has learnt."""

    def persistent_id(self, value: Any) -> str | None:
        return "tensor" if isinstance(value, torch.Tensor) else None


def _guarded(
    path: Path, stand_in: Callable[[str], Any], known: Collection[str], map_location: Any = "cpu"
) -> Any:
    """Unpickle a file in which each class that it names is replaced by `stand_in` of its name."""

    def load() -> Any:
        _check_archive(path)
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        for name in names:
            if name not in known and name != MEMBER:
                _check_name(path, name)
        allowed = [
            (partial(_member, path) if name == MEMBER else stand_in(name), name) for name in names
        ]
        _refuse_calls(path, frozenset(names) - TRANSFORMS - ENUMS - _callable(known) - {MEMBER})
        with torch.serialization.safe_globals(allowed):  # type: ignore[arg-type]
            return torch.load(path, map_location=map_location, weights_only=True)

    return _refuse_damage(path, load)


def _member(path: Path, enumeration: Any, name: Any) -> Any:
    """Return a member of an enumeration: all that `getattr` in a checkpoint is taken for."""
    if enumeration is _Layer:
        return enumeration
    if not (isinstance(enumeration, type) and issubclass(enumeration, Enum)):
        raise _no_layer(path, MEMBER)
    return enumeration.__members__[name]


def _refuse_damage(path: Path, load: Callable[[], Loaded]) -> Loaded:
    try:
        return load()
    except InputError:
        raise
    except (*DAMAGED, RecursionError) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        if "PytorchStreamReader" in reason or isinstance(error, BadZipFile):
            reason = "it is truncated or damaged"
        said = reason if isinstance(error, (OSError, ValueError, RuntimeError)) else ""
        raise InputError(
            f"{path}: is not a checkpoint that can be read: {said or type(error).__name__}"
        ) from error


def _callable(known: Collection[str]) -> frozenset[str]:
    """Return the known names that are no layers: a checkpoint may call them."""
    found = set()
    for name in known:
        module, _, attribute = name.rpartition(".")
        value = getattr(sys.modules.get(module), attribute, None)
        if not (isinstance(value, type) and issubclass(value, nn.Module)):
            found.add(name)
    return frozenset(found)


def _check_archive(path: Path) -> None:
    """Refuse what `torch.save` does not write: no archive, or one with compressed parts."""
    if path.stat().st_size == 0:
        raise ValueError("it is empty")
    with ZipFile(path) as archive:
        if any(part.compress_type != ZIP_STORED for part in archive.infolist()):
            raise ValueError("it is compressed")


def _refuse_calls(path: Path, layers: frozenset[str]) -> None:
    """Refuse a checkpoint that calls the constructor of a layer, which could load other files."""
    with ZipFile(path) as archive:
        found = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(found) != 1:
            raise ValueError("it must hold one data.pkl")
        with archive.open(found[0]) as stream:
            try:
                inspect_pickle(stream, uncallable=layers, fixed={*ENUMS, MEMBER})
            except ForbiddenPickleError as error:
                raise InputError(f"{path}: {error}, which no saved detector does") from None


def _check_name(path: Path, name: str) -> None:
    """Raise InputError if no saved detector names this."""
    if name.startswith("progressive.detectors.gradient_path_"):  # where they were in 0.1.0
        raise InputError(
            f"{path}: was written by an earlier version of this package, which had {name}; load it "
            "with that version"
        )
    if not name.startswith(PACKAGES) and name not in (*DATA, *ENUMS, *TRANSFORMS):
        raise _no_layer(path, name)


def _class(path: Path, name: str, known: Collection[str]) -> Any:
    """Return the class with this full name, or the function if it is known.

    Raises:
        InputError: it is not a class that a detector may contain.
    """
    module, _, attribute = name.rpartition(".")
    found = None
    with suppress(ImportError):
        found = getattr(import_module(module), attribute, None)
    if found is not None and name in known:
        return found
    plain = name in (*DATA, *ENUMS, *TRANSFORMS)
    if not isinstance(found, type) or not (plain or issubclass(found, nn.Module)):
        raise _no_layer(path, name)
    return found


def _no_layer(path: Path, name: str) -> InputError:
    return InputError(f"{path}: names {name}, which is not a layer of a detector; not loaded")


class _Layer:
    """Stands for a layer: keeps what was saved of it, has none of its code."""

    saved: Mapping[str, Any]

    def __new__(cls, *_: Any) -> _Layer:
        self = super().__new__(cls)
        self.saved = {}
        return self

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.saved = state if isinstance(state, dict) else {}


def _checkpoint(path: Path, found: Any) -> Checkpoint:
    """Take tensors and counters out of what was read."""
    if not isinstance(found, dict):
        raise ValueError("holds no mapping")
    average = found.get("ema") or found.get("model")
    if not isinstance(average, _Layer):
        raise ValueError("holds no model")
    weights = {name: _dense(value) for name, value in islice(_tensors(average), MAX_TENSORS)}
    if wrong := first_not_finite(weights):
        raise ValueError(f"{wrong} holds NaN or infinity")
    best = found.get("best_fitness")
    return Checkpoint(
        path=path,
        epoch=_count(found.get("epoch", -1), "epoch"),
        weights=weights,
        updates=_count(found.get("updates") or 0, "updates"),
        optimizer=_optimizer(found.get("optimizer") or {}),
        scaler=_numbers(found.get("scaler") or {}, "scaler"),
        best_fitness=None if best is None else _number(best, "best_fitness"),
        stopper=_numbers(found.get("stopper") or {}, "stopper"),
    )


def _tensors(layer: _Layer, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield parameters and buffers as `state_dict` does."""
    hidden = layer.saved.get("_non_persistent_buffers_set") or ()
    for kind in ("_parameters", "_buffers"):
        for name, value in (layer.saved.get(kind) or {}).items():
            if value is not None and not (kind == "_buffers" and name in hidden):
                yield f"{prefix}{name}", value
    for name, child in (layer.saved.get("_modules") or {}).items():
        if child is not None:
            yield from _tensors(child, f"{prefix}{name}.")


def _dense(value: Any) -> torch.Tensor:
    if not torch.is_tensor(value) or value.layout != torch.strided or value.is_quantized:
        raise ValueError("holds something else than tensors in its model")
    value = value.detach()
    return value.float() if value.is_floating_point() else value


def _optimizer(saved: Any) -> dict[int, dict[str, Any]]:
    """Return the state of each parameter; the groups hold arguments, which are not ours to take."""
    state = saved.get("state", {})
    for number, values in state.items():
        _count(number, "optimizer")
        for value in values.values():
            if not torch.is_tensor(value) and value is not None:
                _number(value, "optimizer")
    return dict(state)


def _numbers(found: Mapping[Any, Any], name: str) -> dict[str, float]:
    return {str(key): _number(value, f"{name}.{key}") for key, value in found.items()}


def _number(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or not isfinite(value):
        raise ValueError(f"{name} must be a number")
    return value


def _count(value: Any, name: str) -> int:
    if type(value) is not int or value < -1:
        raise ValueError(f"{name} must be a whole number")
    return value
