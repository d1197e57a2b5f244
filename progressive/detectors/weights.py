"""Read weights and load them into a backbone. If a key does not fit, an error lists all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import timm
import torch
from timm.models import adapt_input_conv
from torch import nn
from ultralytics.utils import LOGGER

from progressive.detectors.catalog import WEIGHT_FILES
from progressive.errors import WeightsError
from progressive.safe_loading.weights import read_tensors

#: How many keys of each kind an error lists by name.
LISTED = 20


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from a .safetensors, .pth, .pt or .bin file, without running code in it.

    Raises:
        WeightsError: there is no such file, or it is not a file with a state dict.
    """
    if path.suffix not in WEIGHT_FILES:
        raise WeightsError(f"{path}: must end in .safetensors, .pth, .pt or .bin")
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    return read_tensors(path)


def load_weights(
    body: nn.Module, state: Mapping[str, torch.Tensor], source: str, model: str | None = None
) -> None:
    """Copy a state dict, of features or of the whole classifier, into a backbone.

    If the backbone takes images of other channels, the weights of its first layer are repeated and
    scaled as timm does it.

    Args:
        body: the backbone, built by timm with `features_only`, or a gradient-path design.
        state: parameters and buffers by name. Those that only the classifier has are ignored.
        source: where the weights come from, for the log and the error message.
        model: name of the timm classifier; None for a gradient-path design.

    Raises:
        WeightsError: a key is missing or unknown, or its tensor has another shape.
    """
    wanted = body.state_dict()
    given = _for_channels(_as_features(state, wanted, model), wanted)
    # BatchNorm's counter of batches is not a weight, and many published files do not contain it.
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
    LOGGER.info(f"Backbone weights: {source}")


def _as_features(
    state: Mapping[str, torch.Tensor], wanted: Collection[str], model: str | None
) -> dict[str, torch.Tensor]:
    """Rename the tensors as in the features, and leave out those that only the classifier has.

    Args:
        state: tensors by name.
        wanted: names in the features.
        model: as in `load_weights`.
    """
    if model is None:  # a gradient-path design, whose classifier is one layer of this name
        return {k: v for k, v in state.items() if not k.startswith("classifier.")}
    with torch.device("meta"):
        classifier = timm.create_model(model).state_dict().keys()
    names = {_plain(key): key for key in wanted}
    given = {}
    for key, value in state.items():
        name = key if key in wanted else names.get(_plain(key), key)
        if name in wanted or key not in classifier:
            given[name] = value
    return given


def _for_channels(
    given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Fit the first layer's weights, for three channels, to those that the backbone takes."""
    fitted = dict(given)
    for key, value in given.items():
        target = wanted.get(key)
        if value.ndim == 4 and value.shape[1] == 3 and target is not None and target.ndim == 4:
            fitted[key] = adapt_input_conv(target.shape[1], value)
    return fitted


def _plain(key: str) -> str:
    """Return a key in a form that features and classifier share.

    In the features, timm renames stages.0 to stages_0, or adds the prefix 'model.'.
    """
    return key.removeprefix("model.").replace("_", ".")


def _list(kind: str, keys: Sequence[str]) -> str:
    """Return how many keys of a kind there are, and the first of them."""
    more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return f"{len(keys)} {kind} ({', '.join(keys[:LISTED])}{more})"
