"""Every generator of random numbers that a training draws from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

#: Where transforms of Ultralytics, torchvision, Albumentations and ours keep others.
_INNER = ("transforms", "pre_transform", "transform", "compose", "inner")


def global_states() -> dict[str, Any]:
    """Return the states of Python, NumPy, PyTorch and its GPUs."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def set_global_states(states: dict[str, Any]) -> None:
    """Restore what `global_states` has returned."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if len(states["cuda"]) == torch.cuda.device_count():  # another machine may have another number
        torch.cuda.set_rng_state_all(states["cuda"])


def transform_states(dataset: Any) -> list[dict[str, Any]]:
    """Return the states of the generators that transforms of a data set have for themselves.

    One that has not been used yet is seeded when it is; until then its state is chance.
    """
    return [
        {
            "seed": transform.seed,
            "numpy": transform.random_generator.bit_generator.state,
            "python": transform.py_random.getstate(),
        }
        if transform.seed is not None
        else {"seed": None}
        for transform in _with_generators(dataset)
    ]


def set_transform_states(dataset: Any, states: list[dict[str, Any]]) -> None:
    """Restore what `transform_states` has returned, into the same transforms made anew."""
    for transform, state in zip(_with_generators(dataset), states, strict=True):
        if state["seed"] is None:
            continue
        transform.seed = state["seed"]  # Ultralytics seeds anew whatever has another one
        transform.random_generator = np.random.Generator(np.random.PCG64())
        transform.random_generator.bit_generator.state = state["numpy"]
        transform.py_random = random.Random()
        transform.py_random.setstate(state["python"])


def _with_generators(dataset: Any) -> list[Any]:
    """Return the transforms of Albumentations that a data set applies, in a fixed order."""
    roots = [getattr(dataset, name, None) for name in ("transforms", "torch_transforms")]
    found: dict[int, Any] = {}
    for root in roots:
        for transform in _walk(root):
            names = ("seed", "random_generator", "py_random")
            if all(hasattr(transform, name) for name in names):
                found[id(transform)] = transform
    return list(found.values())


def _walk(transform: Any) -> Iterator[Any]:
    if isinstance(transform, (list, tuple)):
        for inner in transform:
            yield from _walk(inner)
    elif hasattr(transform, "__dict__"):
        yield transform
        for name in _INNER:
            yield from _walk(vars(transform).get(name))
