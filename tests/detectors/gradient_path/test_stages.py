from __future__ import annotations

import pytest
import torch
from torch import nn

from progressive.detectors.gradient_path.layers import Residual
from progressive.detectors.gradient_path.stages import CSPStage, ELANStage, OSAModule
from progressive.errors import InputError


@pytest.mark.parametrize(
    ("fusion", "convolutions"),
    [  # channels in and out: both halves, the block, then the transitions
        ("csp", [(16, 8), (16, 8), (8, 8), (8, 8), (16, 16)]),
        ("first", [(16, 8), (16, 8), (8, 8), (16, 16)]),
        ("last", [(16, 8), (16, 8), (8, 8), (8, 8)]),
    ],
)
def test_fusions_of_a_csp_stage(fusion, convolutions):
    stage = CSPStage(16, Residual(nn.Conv2d(8, 8, 1)), fusion=fusion)
    layers = [m for m in stage.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in layers] == convolutions
    assert stage(torch.rand(2, 16, 4, 4)).shape == (2, 16, 4, 4)


def test_halves_that_do_not_make_the_output():
    with pytest.raises(InputError, match="two halves of 16 do not make 16 channels"):
        CSPStage(16, nn.Identity(), half=16, fusion="last")


def test_stages_of_stacked_blocks():
    elan, osa = ELANStage(8, 4, 16, stacks=3), OSAModule(8, 4, 16, layers=5)
    assert elan.transition.conv.in_channels == 4 + 4 + 3 * 4
    assert osa.transition.conv.in_channels == 8 + 5 * 4
    for stage in (elan, osa):
        assert stage(torch.rand(2, 8, 4, 4)).shape == (2, 16, 4, 4)
