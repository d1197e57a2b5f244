"""What the callback refuses when it is made."""

import pytest

from progressive import tracking
from progressive.errors import InputError
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.schedule import ProgressiveSchedule

SCHEDULE = ProgressiveSchedule.fixed(epochs=1, image_size=32)
SWITCHES = (
    *("lr_by_compute", "levels_by_final", "cache_encoded", "merge_batches", "train_faster"),
    *("checkpoints", "resume"),
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *(({name: "no"}, f"{name}='no': must be True or False") for name in SWITCHES),
        ({"resume": 1}, "resume=1: must be True or False"),
        ({"config": 3}, "config=3: must be a text, or None"),
        ({"config": b"a"}, "config=b'a': must be a text, or None"),
        ({"notes": [1]}, "notes=[1]: must be a mapping that JSON can hold, or None"),
        ({"notes": {"a": {1}}}, "notes={'a': {1}}: must be a mapping that JSON"),
        ({"log": "loud"}, "log='loud': must be one of full, quiet, json"),
        ({"log": None}, "log=None: must be one of full, quiet, json"),
        ({"log": ["full"]}, "log=['full']: must be one of"),
        ({"track": "mlflow"}, "track='mlflow': must be a list of trackers, as"),
        ({"track": [1]}, "track=[1]: must be a list of trackers"),
        ({"track": 1}, "track=1: must be a list of trackers"),
        ({"track": ["tensorbord"]}, "track=tensorbord: did you mean tensorboard?"),
        ({"save_minutes": "5"}, "save_minutes='5': must be a number above 0, or None"),
        ({"val_every": 0}, "val_every=0: must be an integer of at least 1, or None"),
    ],
)
def test_a_wrong_argument_is_one_line(given, said):
    with pytest.raises(InputError) as error:
        ProgressiveCallback(SCHEDULE, **given)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_tracker_that_is_not_installed_is_told_with_what_installs_it(monkeypatch):
    gone = tracking.Tracker("dvclive", "no_such_module", "dvc")
    monkeypatch.setitem(tracking.TRACKERS, "dvc", gone)
    with pytest.raises(InputError, match=r"^track=dvc: is not .* pip install dvclive"):
        ProgressiveCallback(SCHEDULE, track=["dvc"])


def test_what_is_right_is_taken():
    ProgressiveCallback(SCHEDULE, config="a: 1", notes={"b": [1.5]}, track=(), log="quiet")
    ProgressiveCallback(SCHEDULE, save_minutes=None, val_every=None, track=None)
