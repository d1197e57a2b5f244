"""Hook into an Ultralytics model before it has a trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ultralytics.engine.model import Model

from progressive.hosts.ultralytics.calls import bind_calls


def hook(model: Model, callback: Any, events: Iterable[str]) -> Callable[[], None]:
    """Let `model` call `callback` in its next training; return what undoes it.

    Args:
        model: to be trained.
        callback: with a schedule, and a method for each of the events.
        events: of Ultralytics.
    """
    for event in events:
        model.add_callback(event, getattr(callback, event))
    overrides = dict(model.overrides)
    unbind = bind_calls(model, callback)
    model.overrides["imgsz"] = callback.schedule.image_size
    model.overrides["epochs"] = callback.schedule.epochs

    def unhook() -> None:
        unbind()
        trainer = model.trainer
        for callbacks in (model.callbacks, trainer.callbacks if trainer else {}):
            for found in callbacks.values():
                found[:] = [f for f in found if getattr(f, "__self__", None) is not callback]
        if "epochs" in model.overrides:  # a training replaces them by what it was given
            for name in ("imgsz", "epochs"):
                del model.overrides[name]
            model.overrides.update(overrides)

    return unhook
