import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progressive.schedule import ProgressiveSchedule, TrainingStage


def table(schedule: ProgressiveSchedule) -> list[tuple]:
    return [
        (
            stage.start_epoch,
            stage.stop_epoch,
            stage.image_size,
            round(stage.randaugment_magnitude, 3),
            round(stage.mixup, 4),
            round(stage.dropout_rate, 4),
            round(stage.drop_path_rate, 4),
        )
        for stage in schedule.stages
    ]


# The paper's settings (arXiv 2104.00298, Table 6), 350 epochs in four stages, at stride 4,
# which divides both 300 and 380.
PAPER = {
    "S": (
        {"image_size": (128, 300), "randaugment": (5, 15), "dropout": (0.1, 0.3)},
        [
            (0, 88, 128, 5, 0, 0.1, 0.2),
            (88, 175, 184, 8.333, 0, 0.1667, 0.2),
            (175, 263, 244, 11.667, 0, 0.2333, 0.2),
            (263, 350, 300, 15, 0, 0.3, 0.2),
        ],
    ),
    "M": (
        {
            "image_size": (128, 380),
            "randaugment": (5, 20),
            "mixup": (0, 0.2),
            "dropout": (0.1, 0.4),
        },
        [
            (0, 88, 128, 5, 0, 0.1, 0.2),
            (88, 175, 212, 10, 0.0667, 0.2, 0.2),
            (175, 263, 296, 15, 0.1333, 0.3, 0.2),
            (263, 350, 380, 20, 0.2, 0.4, 0.2),
        ],
    ),
    "L": (
        {
            "image_size": (128, 380),
            "randaugment": (5, 25),
            "mixup": (0, 0.4),
            "dropout": (0.1, 0.5),
        },
        [
            (0, 88, 128, 5, 0, 0.1, 0.2),
            (88, 175, 212, 11.667, 0.1333, 0.2333, 0.2),
            (175, 263, 296, 18.333, 0.2667, 0.3667, 0.2),
            (263, 350, 380, 25, 0.4, 0.5, 0.2),
        ],
    ),
}


@pytest.mark.parametrize("model", PAPER)
def test_paper_settings(model):
    settings, expected = PAPER[model]
    schedule = ProgressiveSchedule.linear(epochs=350, stages=4, drop_path=0.2, stride=4, **settings)
    assert table(schedule) == expected


def test_detector_sizes_are_multiples_of_the_stride():
    schedule = ProgressiveSchedule.linear(epochs=8, stages=4, image_size=(320, 640))
    assert [stage.image_size for stage in schedule.stages] == [320, 416, 544, 640]


def test_the_first_stage_is_the_minimum():
    # Released code takes (stage + 1) / M and never uses the minimum.
    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=2, image_size=(64, 128), randaugment=(5, 15), dropout=(0.1, 0.3)
    )
    assert table(schedule) == [(0, 1, 64, 5, 0, 0.1, 0), (1, 2, 128, 15, 0, 0.3, 0)]


def test_one_stage_takes_the_end_values():
    schedule = ProgressiveSchedule.linear(
        epochs=10, stages=1, image_size=(96, 192), mixup=(0, 0.2), drop_path=(0.0, 0.1)
    )
    assert table(schedule) == [(0, 10, 192, 0, 0.2, 0, 0.1)]
    assert schedule == ProgressiveSchedule.fixed(
        epochs=10, image_size=192, mixup=0.2, drop_path=0.1
    )


def test_mosaic_is_left_to_the_host_unless_it_is_asked_for():
    settings = {"epochs": 4, "stages": 2, "image_size": (64, 128)}
    left = ProgressiveSchedule.linear(**settings)
    assert [stage.mosaic for stage in left.stages] == [None, None]
    assert not left.uses("mosaic")
    asked = ProgressiveSchedule.linear(**settings, mosaic=(0.0, 0.5))
    assert [stage.mosaic for stage in asked.stages] == [0.0, 0.5]
    # 0 in every stage is a wish as well: no mosaic, whatever the trainer's own is.
    assert ProgressiveSchedule.linear(**settings, mosaic=(0.0, 0.0)).uses("mosaic")
    with pytest.raises(ValueError, match="mosaic min=None: must be a number"):
        ProgressiveSchedule.linear(**settings, mosaic=(None, 0.5))


@pytest.mark.parametrize(
    ("epochs", "durations", "stops"),
    [
        (24, None, [6, 12, 18, 24]),
        (10, None, [3, 5, 8, 10]),
        (20, [4, 3, 2, 1], [8, 14, 18, 20]),
        (350, [1, 1, 1, 1], [88, 175, 263, 350]),
        (4, [1, 1, 1, 1], [1, 2, 3, 4]),
    ],
)
def test_durations(epochs, durations, stops):
    schedule = ProgressiveSchedule.linear(
        epochs=epochs, stages=4, image_size=(64, 128), durations=durations
    )
    assert [stage.stop_epoch for stage in schedule.stages] == stops


def test_at_knows_the_stage_of_every_epoch():
    schedule = ProgressiveSchedule.linear(epochs=5, stages=2, image_size=(64, 128))
    assert [schedule.at(epoch).index for epoch in range(5)] == [0, 0, 0, 1, 1]
    for outside in (-1, 5):
        with pytest.raises(ValueError, match=f"epoch={outside}: must be in 0..4"):
            schedule.at(outside)


GOOD = {"epochs": 8, "stages": 4, "image_size": (64, 128)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0: must be at least 1"),
        ({"epochs": 2.5}, "epochs=2.5: must be an integer"),
        ({"stages": 0}, "stages=0: must be at least 1"),
        ({"stages": 9}, "stages=9: must not be above epochs=8"),
        ({"stages": True}, "stages=True: must be an integer"),
        ({"image_size": (128, 64)}, "image_size min=128: must not be above max=64"),
        ({"image_size": (64, 100)}, "image_size max=100: must be a multiple of the stride 32"),
        ({"image_size": (0, 64)}, "image_size min=0: must be at least 32"),
        ({"image_size": 64}, "image_size=64: must be a pair"),
        ({"randaugment": (0, 31)}, r"randaugment max=31: must be a number in \[0, 30\]"),
        ({"randaugment": 9}, "randaugment=9: must be a pair"),
        ({"mixup": (-0.1, 0.1)}, "mixup min=-0.1: must be a number"),
        ({"mixup": (0.3, 0.1)}, "mixup min=0.3: must not be above max=0.1"),
        ({"dropout": (0, 1)}, r"dropout max=1: must be a number in \[0, 1\)"),
        ({"drop_path": 1.0}, "drop_path min=1.0: must be a number"),
        ({"durations": [1, 2]}, r"durations=\[1, 2\]: must have one weight per stage"),
        ({"durations": [1, 0, 1, 1]}, "every weight must be a positive number"),
        ({"durations_by": "pixels"}, "durations_by='pixels': must be 'epochs' or 'compute'"),
        ({"durations": [99, 1, 1, 1]}, "stage 2 would get none of 8 epochs"),
        ({"stride": 0}, "stride=0: must be at least 1"),
    ],
)
def test_violations_name_field_and_value(change, message):
    with pytest.raises(ValueError, match=message):
        ProgressiveSchedule.linear(**{**GOOD, **change})


def test_stages_given_by_hand_are_checked_too():
    first = TrainingStage(0, 0, 2, 64, 0, 0, 0, 0)
    second = TrainingStage(1, 2, 4, 96, 0, 0, 0, 0)
    assert ProgressiveSchedule((first, second)).epochs == 4
    for broken, message in [
        ((), "needs at least one stage"),
        ((dataclasses.replace(first, start_epoch=1),), "starts at 0"),
        ((first, dataclasses.replace(second, start_epoch=3)), "must start at epoch 2"),
        ((first, dataclasses.replace(second, image_size=32)), "image_size=32"),
        ((first, dataclasses.replace(second, index=2)), "index=2"),
        ((dataclasses.replace(first, stop_epoch=0),), "has no epoch"),
        ((dataclasses.replace(first, dropout_rate=1.0),), "dropout_rate=1.0"),
        ((dataclasses.replace(first, mixup=math.nan),), "mixup=nan: must be a number"),
        ((dataclasses.replace(first, mixup=None),), "mixup=None: must be a number"),
        ((dataclasses.replace(first, image_size=32.5),), "image_size=32.5: must be an integer"),
        ((dataclasses.replace(first, stop_epoch="2"),), "stop_epoch='2': must be an integer"),
        ((dataclasses.replace(first, start_epoch=None),), "start_epoch=None: must be an integer"),
        ((dataclasses.replace(first, stop_epoch=True),), "stop_epoch=True: must be an integer"),
        ((None,), r"stages\[0\]=None: must be a TrainingStage"),
        (None, "stages=None: must be stages, each a TrainingStage"),
        ({first}, "must be stages, each a TrainingStage"),
    ]:
        with pytest.raises(ValueError, match=message):
            ProgressiveSchedule(broken)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        *((({**GOOD, "epochs": v}), f"epochs={v!r}: must be an integer") for v in ("8", None, {8})),
        ({**GOOD, "image_size": None}, "image_size=None: must be a pair (min, max)"),
        ({**GOOD, "image_size": {64, 128}}, "image_size={64, 128}: must be a pair"),
        ({**GOOD, "image_size": (64.0, 128)}, "image_size min=64.0: must be an integer"),
        ({**GOOD, "mixup": None}, "mixup=None: must be a pair (min, max)"),
        ({**GOOD, "mixup": (0, math.nan)}, "mixup max=nan: must be a number in [0, 1]"),
        ({**GOOD, "drop_path": "0.1"}, "drop_path='0.1': must be a pair"),
        ({**GOOD, "sizes": 64}, "sizes=64: must be a list of one size per stage"),
        ({**GOOD, "sizes": {64, 96}}, "sizes={64, 96}: must be a list of one size per stage"),
        ({**GOOD, "sizes": [64, 64, 96, "128"]}, "sizes='128': must be an integer"),
        (
            {**GOOD, "durations": 1},
            "durations=1: must be 'falling', or a list of one weight per stage",
        ),
        (
            {**GOOD, "durations": {1, 2}},
            "durations={1, 2}: must be 'falling', or a list of one weight",
        ),
        ({**GOOD, "durations": [1, 1, 1, "1"]}, "every weight must be a positive number"),
    ],
)
def test_values_of_another_type_are_named(build, message):
    with pytest.raises(ValueError, match=f"^.*{re.escape(message)}"):
        ProgressiveSchedule.linear(**build)


def test_numbers_of_numpy_are_plain_ones_afterwards():
    schedule = ProgressiveSchedule.linear(
        **{name: np.int64(GOOD[name]) for name in ("epochs", "stages")},
        image_size=np.array([64, 128]),
        mixup=(np.float32(0.0), np.float32(0.5)),
        drop_path=np.float64(0.1),
        durations=np.array([1, 1, 1, 1]),
    )
    assert schedule == ProgressiveSchedule.linear(**GOOD, mixup=(0.0, 0.5), drop_path=0.1)
    by_hand = ProgressiveSchedule([TrainingStage(0, 0, np.int64(2), np.int32(64), 0, 0.5, 0, 0)])
    for stage in (*schedule.stages, *by_hand.stages):
        kinds = {type(value) for value in dataclasses.asdict(stage).values()}
        assert kinds == {int, float, type(None)}


def test_one_stage_answers_in_its_own_terms():
    for change, message in [
        ({"durations": [1]}, "durations=[1]: one stage has no such value; must be one of"),
        ({"mixup": (0, 1)}, "mixup=(0, 1): must be a number in [0, 1]"),
        ({"image_size": "64"}, "image_size='64': must be an integer"),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            ProgressiveSchedule.fixed(**{"epochs": 2, "image_size": 64, **change})


def test_questions_of_another_type_are_named():
    schedule = ProgressiveSchedule.linear(**GOOD)
    for ask, message in [
        (lambda: schedule.extended("9"), "epochs='9': must be an integer at least 9"),
        (lambda: schedule.extended(8), "epochs=8: must be at least 9"),
        (lambda: schedule.at(None), "epoch=None: must be an integer in 0..7"),
        (lambda: schedule.at(True), "epoch=True: must be an integer in 0..7"),
        (lambda: schedule.lr_factor("1"), "epoch='1': must be a number"),
        (lambda: schedule.lr_factor(math.nan), "epoch=nan: must be a number"),
        (lambda: schedule.lr_factor(1, final=None), "final=None: must be a number"),
        (lambda: schedule.uses("mixupp"), "'mixupp': no such knob; did you mean mixup?"),
        (lambda: schedule.uses(["mixup"]), "['mixup']: no such knob; "),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            ask()


@st.composite
def settings(draw):
    stride = draw(st.sampled_from([1, 8, 32, 64]))
    largest = draw(st.integers(1, 40))
    smallest = draw(st.integers(stride, largest * stride))
    stages = draw(st.integers(1, 12))
    rate = st.floats(0, 0.9)
    return {
        "epochs": draw(st.integers(stages, 500)),
        "stages": stages,
        "image_size": (smallest, largest * stride),
        "randaugment": tuple(sorted(draw(st.tuples(st.floats(0, 30), st.floats(0, 30))))),
        "mixup": tuple(sorted(draw(st.tuples(rate, rate)))),
        "dropout": tuple(sorted(draw(st.tuples(rate, rate)))),
        "drop_path": draw(rate),
        "stride": stride,
    }


@given(settings())
def test_invariants(setting):
    schedule = ProgressiveSchedule.linear(**setting)
    stages = schedule.stages
    assert len(stages) == setting["stages"]
    # Every epoch belongs to exactly one stage, and equal shares differ by at most one epoch.
    owners = [
        [s.index for s in stages if s.start_epoch <= e < s.stop_epoch]
        for e in range(schedule.epochs)
    ]
    assert all(owner == [schedule.at(epoch).index] for epoch, owner in enumerate(owners))
    assert max(s.epochs for s in stages) - min(s.epochs for s in stages) <= 1
    sizes = [stage.image_size for stage in stages]
    assert sizes == sorted(sizes)
    assert all(size % setting["stride"] == 0 for size in sizes)
    assert sizes[-1] == setting["image_size"][1]
    for name, values in {
        "randaugment": [s.randaugment_magnitude for s in stages],
        "mixup": [s.mixup for s in stages],
        "dropout": [s.dropout_rate for s in stages],
    }.items():
        assert values == sorted(values)
        assert values[-1] == setting[name][1]
        if len(stages) > 1:
            assert values[0] == setting[name][0]
    assert {s.drop_path_rate for s in stages} == {setting["drop_path"]}


def test_durations_by_compute_give_each_stage_its_share_of_the_pixels():
    schedule = ProgressiveSchedule.linear(
        epochs=40, stages=2, image_size=(96, 192), durations=[1, 1], durations_by="compute"
    )
    # An epoch of the first stage costs a quarter of one of the second.
    assert [stage.epochs for stage in schedule.stages] == [32, 8]


@pytest.mark.parametrize(
    ("how", "lengths"),
    [
        ({"epochs": 4}, [1, 1, 1, 1]),
        ({"epochs": 5}, [2, 1, 1, 1]),
        ({"epochs": 36}, [14, 11, 7, 4]),
        ({"epochs": 4, "durations": None, "durations_by": "compute"}, [1, 1, 1, 1]),
        ({"epochs": 40, "durations": None, "durations_by": "compute"}, [18, 11, 6, 5]),
    ],
)
def test_a_stage_whose_length_nobody_gave_has_an_epoch(how, lengths):
    how = {"durations": "falling", **how}
    schedule = ProgressiveSchedule.linear(stages=4, image_size=(96, 192), **how)
    assert [stage.epochs for stage in schedule.stages] == lengths


def test_sizes_replace_the_interpolated_ones():
    schedule = ProgressiveSchedule.linear(
        epochs=6, stages=3, image_size=(32, 320), sizes=[128, 160, 320], mixup=(0, 0.2)
    )
    assert [stage.image_size for stage in schedule.stages] == [128, 160, 320]
    assert [stage.mixup for stage in schedule.stages] == [0, 0.1, 0.2]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([64, 128], "sizes=[64, 128]: must have one size per stage (3)"),
        ([64, 100, 128], "sizes=[64, 100, 128]: 100 is no multiple of the stride 32"),
        ([64, 128, 96], "sizes=[64, 128, 96]: must not fall"),
    ],
)
def test_bad_sizes(sizes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ProgressiveSchedule.linear(epochs=6, stages=3, image_size=(32, 128), sizes=sizes)


def test_the_learning_rate_falls_with_the_pixels():
    schedule = ProgressiveSchedule.linear(
        epochs=8, stages=3, image_size=(32, 64), sizes=[32, 64, 64], durations=[3, 1, 4]
    )
    # Pixels of the epochs: 1 1 1, 4, 4 4 4 4; 23 in all.
    assert [round(23 * schedule.spent(epoch)) for epoch in range(9)] == [
        *(0, 1, 2, 3, 7, 11, 15, 19, 23)
    ]
    assert schedule.spent(3.5) == pytest.approx(5 / 23)
    assert schedule.spent(100) == 1
    assert schedule.lr_factor(0) == 1
    assert schedule.lr_factor(4) == pytest.approx(1 - 7 / 23)
    assert schedule.lr_factor(8, final=0.01) == pytest.approx(0.01)


@given(st.integers(1, 40), st.integers(1, 5))
def test_at_one_size_the_learning_rate_falls_with_the_epochs(epochs, stages):
    schedule = ProgressiveSchedule.linear(
        epochs=max(epochs, stages), stages=stages, image_size=(64, 64)
    )
    for epoch in range(schedule.epochs):
        assert schedule.lr_factor(epoch) == pytest.approx(1 - epoch / schedule.epochs)
