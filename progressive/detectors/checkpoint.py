"""Load a checkpoint without letting it run code.

A checkpoint is a pickle, and a pickle may call anything. Ours hold layers and nothing else, so a
file that names anything but layers is refused before it is unpickled.
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

#: Packages whose layers a detector is made of.
PACKAGES = ("torch.nn.modules.", "ultralytics.nn.", "timm.", "progressive.detectors.")

#: The plain data that layers and trainer keep with them.
DATA = (FeatureInfo, IterableSimpleNamespace)


def load_detector(path: Path) -> YOLO | RTDETR:
    """Load a detector from a checkpoint that Ultralytics wrote.

    Raises:
        InputError: the file cannot be read, or names something that is not a layer.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        layers = [_layer(path, name) for name in names]
        _refuse_calls(path, frozenset(names))
        # The real load under the same restriction, in case the scan can be deceived.
        with torch.serialization.safe_globals(layers):
            torch.load(path, map_location="meta", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError, BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not a checkpoint that can be read: {error}") from error
    return YOLO(path)


def _refuse_calls(path: Path, layers: frozenset[str]) -> None:
    """Refuse a checkpoint that calls a layer's constructor, which may load other files."""
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
    """Return the class `name`, if a detector may be made of it."""
    for kind in DATA:
        if name == f"{kind.__module__}.{kind.__qualname__}":
            return kind
    module, _, attribute = name.rpartition(".")
    found = None
    if f"{module}.".startswith(PACKAGES):
        with suppress(ImportError):
            found = getattr(import_module(module), attribute, None)
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        raise InputError(f"{path}: names {name}, which is no layer of a detector; not loaded")
    return found
