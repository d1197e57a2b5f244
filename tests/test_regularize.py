from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run

import pytest
from torch import nn

from progressive import regularize
from progressive.regularize import set_channel_dropout, set_drop_path


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
    assert set_channel_dropout(nn.ReLU(), 0.5) == set_drop_path(nn.ReLU(), 0.5) == 0


@pytest.mark.parametrize("setter", [set_channel_dropout, set_drop_path])
@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_rate_out_of_range(setter, rate):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        setter(nn.Dropout2d(), rate)


def test_imports_neither_timm_nor_ultralytics():
    code = (
        "import sys, progressive.regularize\n"
        "print(sorted({'timm', 'ultralytics', 'cv2'} & set(sys.modules)))"
    )
    root = Path(regularize.__file__).parents[1]
    done = run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
