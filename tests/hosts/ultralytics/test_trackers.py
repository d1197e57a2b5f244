"""Trackers get our values beside Ultralytics' metrics, and the trainer never keeps them."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import pytest
from ultralytics.utils.callbacks import mlflow, tensorboard

from progressive.errors import InputError
from progressive.hosts.ultralytics.trackers import Trackers


def trainer_with(*functions, metrics=None):
    callbacks = defaultdict(list, {"on_fit_epoch_end": list(functions)})
    return SimpleNamespace(callbacks=callbacks, metrics=metrics)


def run(trainer, event="on_fit_epoch_end"):
    for function in trainer.callbacks[event]:
        function(trainer)


@pytest.mark.parametrize(
    ("validated", "logged"),
    [(True, {"mAP": 0.5, "progressive/stage": 1}), (False, {"progressive/stage": 1})],
)
def test_loggers_see_what_the_trainer_does_not_keep(validated, logged):
    trackers, seen, users = Trackers(None), [], []

    def log(trainer):
        seen.append(dict(trainer.metrics))

    log.__module__ = tensorboard.__name__  # a logger of Ultralytics
    trainer = trainer_with(
        lambda t: trackers.show(t, {"progressive/stage": 1}, validated=validated),
        lambda t: users.append(dict(t.metrics)),
        log,
        lambda t: users.append(dict(t.metrics)),
        metrics={"mAP": 0.5},
    )
    own = trainer.metrics
    forget = trackers.choose(trainer)
    run(trainer)
    assert seen == [logged]
    assert users == [own, own]  # what a user's own callbacks find is Ultralytics'
    assert trainer.metrics is own
    assert own == {"mAP": 0.5}
    forget()
    assert len(trainer.callbacks["on_fit_epoch_end"]) == 4


def test_a_tracker_that_nobody_asked_for_is_off():
    trainer = trainer_with(mlflow.on_fit_epoch_end, tensorboard.on_fit_epoch_end)
    Trackers(()).choose(trainer)
    assert trainer.callbacks["on_fit_epoch_end"] == []


def test_without_a_list_the_settings_of_ultralytics_hold():
    trainer = trainer_with(mlflow.on_fit_epoch_end)
    Trackers(None).choose(trainer)
    assert mlflow.on_fit_epoch_end in trainer.callbacks["on_fit_epoch_end"]


def test_a_tracker_that_ultralytics_switches_off_is_an_error():
    # As it does in tests.
    with pytest.raises(InputError, match=r"^track=tensorboard: Ultralytics cannot use it here"):
        Trackers(("tensorboard",)).choose(trainer_with())
