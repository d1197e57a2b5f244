"""What `train` and `tune` of a model do while it follows a schedule.

They are set on the one model, as attributes that hide the methods of its class, and taken off again
when the callback is detached. Plain functions with their model bound, so that a copy of the model
trains itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer

from progressive.errors import InputError
from progressive.runs.environment import ENVIRONMENT
from progressive.runs.fingerprint import DATA
from progressive.runs.records import PLAN

#: What Ultralytics and our recorder write before the first epoch.
MADE_FIRST = ("args.yaml", "labels.jpg", "config.yaml", PLAN, ENVIRONMENT, DATA)


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
    callback.untrained = None
    # A training replaces them by what its checkpoint keeps, which the number of epochs is not.
    model.overrides["imgsz"] = callback.schedule.image_size
    model.overrides["epochs"] = callback.schedule.epochs
    try:
        return type(model).train(model, *arguments, **named)
    except Exception:
        if callback.untrained is not None:
            _remove_new_folder(callback.untrained)
        raise
    finally:  # a trainer that fails while it is built does not say that it has ended
        callback.teardown(model.trainer)


def _remove_new_folder(trainer: BaseTrainer) -> None:
    """Take away the run folder of a training that has not begun, if Ultralytics made it for it."""
    if trainer.args.exist_ok or trainer.args.resume:
        return
    folder = Path(trainer.save_dir)
    with suppress(OSError):
        (folder / "weights").rmdir()  # fails if there is anything in it
        for name in MADE_FIRST:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _refuse_tune(*_: Any, **__: Any) -> NoReturn:
    raise InputError(
        "model.tune: trains in processes of its own, which would not follow the schedule; search "
        "with python -m progressive.run -m KEY=VALUE,VALUE, or detach the callback first"
    )
