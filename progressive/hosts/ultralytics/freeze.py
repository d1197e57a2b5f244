"""Check which layers are to be frozen, which Ultralytics does not."""

from __future__ import annotations

from typing import Any

from progressive.errors import ConfigError


def check_freeze(model: Any, freeze: int | list[int | str] | None) -> None:
    """Raise ConfigError if `train.freeze` names a layer that `model` lacks, or all layers."""
    parts = list(range(freeze)) if isinstance(freeze, int) else freeze or []
    names = [name for name, _ in model.named_parameters()]
    frozen: set[str] = set()
    for part in parts:
        found = {name for name in names if f"model.{part}." in name}
        if not found and not (isinstance(part, int) and part < len(model.model)):
            raise ConfigError(
                f"train.freeze={freeze}: there is no layer {part}; the model has 0 to "
                f"{len(model.model) - 1}"
            )
        frozen |= found
    if frozen >= set(names):
        raise ConfigError(f"train.freeze={freeze}: freezes all {len(model.model)} layers")
