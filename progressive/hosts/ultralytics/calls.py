"""What `train` and `tune` of a model do while it follows a schedule.

They are set on the one model, as attributes that hide the methods of its class, and taken off again
when the callback is detached. Plain functions with their model bound, so that a copy of the model
trains itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from ultralytics.engine.model import Model

from progressive.errors import InputError


def bind_calls(model: Model, callback: Any) -> Callable[[], None]:
    """Let `model.train` follow the schedule of `callback` every time, and refuse `model.tune`.

    Args:
        model: whose calls to change.
        callback: whose `schedule` has the size and the number of epochs.

    Returns:
        What gives the model its own back.
    """
    vars(model)["train"] = partial(_train, model, callback)
    vars(model)["tune"] = _refuse_tune

    def undo() -> None:
        for name in ("train", "tune"):
            vars(model).pop(name, None)

    return undo


def _train(model: Model, callback: Any, *arguments: Any, **named: Any) -> Any:
    # A training replaces them by what its checkpoint keeps, which the number of epochs is not.
    model.overrides["imgsz"] = callback.schedule.image_size
    model.overrides["epochs"] = callback.schedule.epochs
    try:
        return type(model).train(model, *arguments, **named)
    finally:  # a trainer that fails while it is built does not say that it has ended
        callback.teardown(model.trainer)


def _refuse_tune(*_: Any, **__: Any) -> NoReturn:
    raise InputError(
        "model.tune: trains in processes of its own, which would not follow the schedule; search "
        "with python -m progressive.run -m KEY=VALUE,VALUE, or detach the callback first"
    )
