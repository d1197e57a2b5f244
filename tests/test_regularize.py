from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run

import pytest
from torch import nn

from progressive import regularize
from progressive.regularize import (
    rates,
    restore_rates,
    set_channel_dropout,
    set_drop_path,
    set_dropout,
)


class DropPath(nn.Module):
    def __init__(self, drop_prob: float, depth_fraction: float | None = None):
        super().__init__()
        self.drop_prob = drop_prob
        if depth_fraction is not None:
            self.depth_fraction = depth_fraction


def test_channel_dropout_sets_every_dropout2d_and_nothing_else():
    model = nn.Sequential(nn.Dropout2d(0.1), nn.Sequential(nn.Dropout2d(0.9), nn.Dropout(0.7)))
    assert set_channel_dropout(model, 0.25) == 2
    assert [model[0].p, model[1][0].p, model[1][1].p] == [0.25, 0.25, 0.7]


def test_dropout_sets_every_dropout_and_nothing_else():
    model = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Dropout2d(0.9), nn.Dropout(0.7)))
    assert set_dropout(model, 0.25) == 2
    assert [model[0].p, model[1][0].p, model[1][1].p] == [0.25, 0.9, 0.25]


def test_drop_path_scales_by_depth():
    model = nn.Sequential(DropPath(0.0, 0.25), nn.Sequential(DropPath(0.3, 1.0)))
    assert set_drop_path(model, 0.2) == 2
    assert [model[0].drop_prob, model[1][0].drop_prob] == [0.05, 0.2]
    assert set_drop_path(model, 0) == 2
    assert [model[0].drop_prob, model[1][0].drop_prob] == [0, 0]


def test_drop_path_without_a_known_depth_is_left_alone():
    layer = DropPath(0.3)
    assert set_drop_path(layer, 0.2) == 0
    assert layer.drop_prob == 0.3


def test_nothing_to_set():
    for setter in (set_channel_dropout, set_dropout, set_drop_path):
        assert setter(nn.ReLU(), 0.5) == 0


def test_rates_are_restored():
    model = nn.Sequential(nn.Dropout(0.1), nn.Dropout2d(0.2), DropPath(0.4, 0.5), nn.ReLU())
    before = rates(model)
    assert before == {"0.p": 0.1, "1.p": 0.2, "2.drop_prob": 0.4}
    for setter in (set_channel_dropout, set_dropout, set_drop_path):
        setter(model, 0.6)
    assert rates(model) == {"0.p": 0.6, "1.p": 0.6, "2.drop_prob": 0.3}
    restore_rates(model[:3], before)
    assert rates(model) == before
    restore_rates(model[:1], before)  # layers that are not there are skipped
    assert rates(nn.Dropout(0.4)) == {".p": 0.4}


@pytest.mark.parametrize("setter", [set_channel_dropout, set_dropout, set_drop_path])
@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_rate_out_of_range(setter, rate):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        setter(nn.Dropout2d(), rate)


@pytest.mark.slow
def test_imports_neither_timm_nor_ultralytics():
    code = (
        "import sys, progressive.regularize\n"
        "print(sorted({'timm', 'ultralytics', 'cv2'} & set(sys.modules)))"
    )
    root = Path(regularize.__file__).parents[1]
    done = run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
