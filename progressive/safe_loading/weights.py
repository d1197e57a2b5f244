"""Read named tensors from a file of weights, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from progressive.errors import WeightsError


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from a .safetensors file, or from one that `torch.save` has written.

    Raises:
        WeightsError: it is not a file with a state dict, or a tensor holds NaN or infinity.
    """
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes can raise anything
        raise WeightsError(
            f"{path}: not a readable weight file ({type(error).__name__})"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and torch.is_tensor(value) for name, value in state.items()
    ):
        raise WeightsError(f"{path}: holds no state dict, that is a mapping of names to tensors")
    if wrong := first_not_finite(state):
        raise WeightsError(f"{path}: {wrong} holds NaN or infinity; the file is damaged")
    return dict(state)


def first_not_finite(state: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or infinity, None if all are numbers."""
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return name
    return None
