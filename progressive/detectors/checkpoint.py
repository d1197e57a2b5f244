"""Load a checkpoint without letting it run code.

A checkpoint is a pickle, and a pickle can call anything. Checkpoints of this project contain only
layers and plain data. A file that names anything else is refused before it is unpickled.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from timm.models._features import FeatureInfo
from torch import nn
from ultralytics import RTDETR, YOLO
from ultralytics.utils import IterableSimpleNamespace

from progressive.errors import InputError
from progressive.safe_pickle import ForbiddenPickleError, inspect_pickle

#: Packages whose layers a detector may contain.
PACKAGES = ("torch.nn.modules.", "ultralytics.nn.", "timm.", "progressive.detectors.")

#: Classes of plain data that layers and the trainer store.
DATA = (FeatureInfo, IterableSimpleNamespace)


def load_detector(path: Path) -> YOLO | RTDETR:
    """Load a detector from a checkpoint that Ultralytics has written.

    Raises:
        InputError: the file cannot be read, or it names something that is not a layer.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        layers = [_layer(path, name) for name in names]
        _refuse_calls(path, frozenset(names))
        # Load it once with the same restriction, in case something can hide from the scan.
        with torch.serialization.safe_globals(layers):
            torch.load(path, map_location="meta", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError, BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not a checkpoint that can be read: {error}") from error
    return YOLO(path)


def _refuse_calls(path: Path, layers: frozenset[str]) -> None:
    """Refuse a checkpoint that calls the constructor of a layer, which could load other files."""
    with ZipFile(path) as archive:
        found = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(found) != 1:
            raise ValueError("must hold one data.pkl")
        with archive.open(found[0]) as stream:
            try:
                inspect_pickle(stream, uncallable=layers)
            except ForbiddenPickleError as error:
                raise InputError(f"{path}: {error}, which no saved detector does") from None


def _layer(path: Path, name: str) -> Any:
    """Return the class with this full name.

    Raises:
        InputError: it is not a class that a detector may contain.
    """
    for kind in DATA:
        if name == f"{kind.__module__}.{kind.__qualname__}":
            return kind
    module, _, attribute = name.rpartition(".")
    found = None
    if f"{module}.".startswith(PACKAGES):
        with suppress(ImportError):
            found = getattr(import_module(module), attribute, None)
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        raise InputError(f"{path}: names {name}, which is not a layer of a detector; not loaded")
    return found
