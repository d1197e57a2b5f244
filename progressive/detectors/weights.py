"""Load published weights into a backbone: every key must fit, or an error says which do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from torch import nn

from progressive.errors import InputError

#: Top-level layers of a timm classifier that its features do not have.
CLASSIFIER_LAYERS = ("classifier.", "conv_head.", "bn2.")


class WeightsError(InputError):
    """Weights that cannot be had, cannot be read or do not fit."""


def initial_weights(
    model: str, pretrained: bool, file: Path | None, width: float = 1.0, depth: float = 1.0
) -> tuple[dict[str, torch.Tensor], str] | None:
    """Read the weights a backbone is to start from.

    Args:
        model: name of the timm model.
        pretrained: take the published weights.
        file: take those of this file.
        width: fraction of the backbone's channels.
        depth: fraction of its blocks.

    Returns:
        The state dict and where it is from, for `load_weights`; None when neither is asked for.

    Raises:
        ValueError: weights from two sources, or for a part of a backbone.
        WeightsError: they cannot be had or read.
    """
    if pretrained and file is not None:
        raise ValueError("give either pretrained or weights, not both")
    if (pretrained or file is not None) and (width != 1 or depth != 1):
        raise ValueError(
            f"weights need the whole backbone, but width={width} and depth={depth} keep a part"
        )
    if pretrained:
        return published_weights(model), f"published weights of {model}"
    return None if file is None else (read_weights(Path(file)), str(file))


def published_weights(model: str) -> dict[str, torch.Tensor]:
    """Download the state dict of a timm classifier, or take it from the local cache.

    Raises:
        WeightsError: no network, or timm has no weights for this model.
    """
    try:
        return timm.create_model(model, pretrained=True).state_dict()
    except Exception as error:  # the layers of transport below timm share no base class
        reason = str(error).partition(". ")[0] or type(error).__name__
        raise WeightsError(
            f"cannot get the published weights of {model} ({reason}); "
            "without a network give backbone.weights=FILE"
        ) from error


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from a .safetensors, .pth, .pt or .bin file, executing nothing in it.

    Raises:
        WeightsError: no such file, another kind of file, or no state dict in it.
    """
    if path.suffix not in {".safetensors", ".pth", ".pt", ".bin"}:
        raise WeightsError(f"{path}: must end in .safetensors, .pth, .pt or .bin")
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in whatever way its bytes happen to
        raise WeightsError(
            f"{path}: not a readable weight file ({type(error).__name__})"
        ) from error
    if not isinstance(state, Mapping) or not all(torch.is_tensor(v) for v in state.values()):
        raise WeightsError(f"{path}: holds no state dict, that is a mapping of names to tensors")
    return dict(state)


def load_weights(body: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Copy a state dict, of timm's features or of the whole classifier, into timm's features.

    Args:
        body: model built by timm with `features_only`.
        state: parameters and buffers by name. What belongs to the classifier is ignored.
        source: where they come from, for the error message.

    Raises:
        WeightsError: a key is missing, is not known to the model or has another shape.
    """
    wanted = body.state_dict()
    given = {k: v for k, v in state.items() if not k.startswith(CLASSIFIER_LAYERS)}
    # BatchNorm's counter of batches is no weight, and many published files leave it out.
    needed = [key for key in wanted if not key.endswith("num_batches_tracked")]
    faults = {
        "missing": [key for key in needed if key not in given],
        "unexpected": [key for key in given if key not in wanted],
        "of another shape": [k for k in given if k in wanted and given[k].shape != wanted[k].shape],
    }
    if any(faults.values()):
        listed = "; ".join(_list(kind, keys) for kind, keys in faults.items() if keys)
        raise WeightsError(f"{source}: does not fit the backbone: {listed}")
    body.load_state_dict(given, strict=False)


def _list(kind: str, keys: Sequence[str]) -> str:
    more = ", ..." if len(keys) > 3 else ""
    return f"{len(keys)} {kind} ({', '.join(keys[:3])}{more})"
