"""Let Ultralytics read nothing but through `progressive.safe_loading` while it trains.

Ultralytics unpickles checkpoints and label caches at several moments of a training: a checkpoint
after a loss that is not a number, the best weights at the end, labels when a loader is built. In a
resumed run those files may have come with the folder. For as long as a training lasts its readers
are replaced; what they cannot read safely ends the run with an InputError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from ultralytics.data import dataset
from ultralytics.data import utils as data_utils
from ultralytics.nn import tasks
from ultralytics.utils import torch_utils

from progressive.hosts.ultralytics.images.checking import check_without_writing
from progressive.safe_loading.arrays import refuse_hostile_cache
from progressive.safe_loading.checkpoints import load_layers, names_in


def read_labels_safely() -> Callable[[], None]:
    """Replace the reader of label caches; return what puts it back."""
    stack = ExitStack()
    stack.callback(setattr, dataset, "load_dataset_cache_file", dataset.load_dataset_cache_file)
    dataset.load_dataset_cache_file = _load_labels
    return stack.close


def read_checkpoints_safely(
    model: nn.Module, arguments: Mapping[str, Any] | None = None
) -> Callable[[], None]:
    """Replace the readers of checkpoints; return what puts them back.

    Args:
        model: that is trained; checkpoints may name what it consists of.
        arguments: of this training, which take the place of those in any checkpoint.
    """
    stack, known = ExitStack(), names_in(model)
    own = None if arguments is None else dict(arguments)
    for module in (tasks, torch_utils):
        stack.callback(setattr, module, "torch_load", module.torch_load)
        module.torch_load = partial(_load, known, own)
    return stack.close


@contextmanager
def reading_safely(model: nn.Module) -> Iterator[None]:
    """Read labels, checkpoints of `model` and images safely inside this context."""
    with ExitStack() as stack:
        stack.callback(check_without_writing())
        stack.callback(read_labels_safely())
        stack.callback(read_checkpoints_safely(model))
        yield


def _load(
    known: frozenset[str],
    arguments: Mapping[str, Any] | None,
    file: Any,
    map_location: Any = "cpu",
    **_: Any,
) -> dict[str, Any]:
    found = load_layers(Path(file), map_location, known)
    return found if arguments is None else {**found, "train_args": dict(arguments)}


def _load_labels(path: Path) -> dict[str, Any]:
    refuse_hostile_cache(Path(path))
    return data_utils.load_dataset_cache_file(path)
