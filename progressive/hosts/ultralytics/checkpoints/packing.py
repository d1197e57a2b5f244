"""Plain data with tensors in it, as safetensors: the tensors as they are, the rest as JSON.

JSON writes floats so that they read back bit by bit, and integers of any size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from progressive.runs.checkpoints import NO_SUM, Checkpoint

#: Stand for what JSON does not have; the state has no other keys with a dollar.
_TENSOR, _PAIRS, _TUPLE = "$tensor", "$pairs", "$tuple"


def pack(state: Mapping[str, Any]) -> bytes:
    """Return the content of a checkpoint, not yet sealed.

    Args:
        state: of dictionaries, lists, tuples, numbers, texts, None and tensors.
    """
    tensors = _Tensors()
    plain = {name: _flatten(value, name, tensors) for name, value in state.items()}
    metadata = {"sha256": NO_SUM, "state": json.dumps(plain)}
    return save(tensors.found, metadata)


def unpack(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what was packed; tensors are on the CPU."""
    tensors = load(checkpoint.content)
    return {name: _restore(value, tensors) for name, value in checkpoint.state.items()}


class _Tensors:
    """Tensors by name, none of which share their memory: the format does not know that."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}
        self._places: set[int] = set()

    def add(self, name: str, value: torch.Tensor) -> None:
        tensor = value.detach().cpu().contiguous()
        if tensor.data_ptr() in self._places:
            tensor = tensor.clone()
        if tensor.numel():  # others are all at 0
            self._places.add(tensor.data_ptr())
        self.found[name] = tensor


def _flatten(value: Any, name: str, tensors: _Tensors) -> Any:
    if isinstance(value, torch.Tensor):
        tensors.add(name, value)
        return {_TENSOR: name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {k: _flatten(v, f"{name}.{k}", tensors) for k, v in value.items()}
        pairs = [[k, _flatten(v, f"{name}.{k}", tensors)] for k, v in value.items()]
        return {_PAIRS: pairs}
    if isinstance(value, (list, tuple)):
        found = [_flatten(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
        return {_TUPLE: found} if isinstance(value, tuple) else found
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{name}: a checkpoint cannot hold a {type(value).__name__}")


def _restore(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_restore(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    if _TUPLE in value:
        return tuple(_restore(item, tensors) for item in value[_TUPLE])
    if _PAIRS in value:
        return {key: _restore(item, tensors) for key, item in value[_PAIRS]}
    return {key: _restore(item, tensors) for key, item in value.items()}
