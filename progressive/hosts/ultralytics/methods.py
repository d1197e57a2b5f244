"""Put another method in the place of a live trainer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ultralytics.engine.trainer import BaseTrainer


def replace_method(trainer: BaseTrainer, name: str, method: Callable[..., Any]) -> Callable:
    """Let `trainer` have `method` as its own; return what undoes that.

    One that another callback has put there before comes back; else that of the class counts again.
    """
    own = vars(trainer).get(name)
    setattr(trainer, name, method)

    def restore() -> None:
        vars(trainer).pop(name, None)
        if own is not None:
            setattr(trainer, name, own)

    return restore
