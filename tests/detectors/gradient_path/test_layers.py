from __future__ import annotations

import pytest
import torch
from torch import nn

from progressive.detectors.gradient_path.layers import (
    AsymmetricResidual,
    MaskedResidual,
    Residual,
)
from progressive.errors import InputError


class Zero(nn.Module):
    """A block that returns zeros, so that only the identity is left."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x):
        return x.new_zeros(x.shape[0], self.channels, *x.shape[2:])


def test_masked_residual_by_hand():
    x = torch.ones(1, 4, 2, 2, requires_grad=True)
    layer = MaskedResidual(Zero(4), 4)
    y = layer(x)
    y.sum().backward()
    assert y[0, :, 0, 0].tolist() == [1, 1, 0, 0]
    assert x.grad[0, :, 1, 1].tolist() == [1, 1, 0, 0]
    assert MaskedResidual(Zero(4), 4, 0.25)(x)[0, :, 0, 0].tolist() == [1, 1, 1, 0]
    assert MaskedResidual(Zero(4), 4, 0)(x)[0, :, 0, 0].tolist() == [1, 1, 1, 1]
    assert MaskedResidual(Zero(4), 4, 1)(x)[0, :, 0, 0].tolist() == [0, 0, 0, 0]
    assert list(layer.state_dict()) == []
    with pytest.raises(InputError, match=r"mask=1.5: must be in \[0, 1\]"):
        MaskedResidual(Zero(4), 4, 1.5)


def test_asymmetric_residual_by_hand():
    x = torch.arange(1.0, 4).view(1, 3, 1, 1)
    assert AsymmetricResidual(Zero(5), 5)(x).flatten().tolist() == [1, 2, 3, 0, 0]
    assert AsymmetricResidual(Zero(2), 2)(x).flatten().tolist() == [1, 2]
    assert AsymmetricResidual(Zero(3), 3)(x).flatten().tolist() == [1, 2, 3]
    learned = AsymmetricResidual(nn.Conv2d(3, 5, 1), 5).state_dict()
    assert list(learned) == ["block.weight", "block.bias"]  # no transition convolution


@pytest.mark.parametrize(("stop", "gradient"), [(None, 4), ("identity", 3), ("block", 1)])
def test_stopped_gradient_of_a_residual_by_hand(stop, gradient):
    block = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(block.weight, 3)
    x = torch.full((1, 1, 1, 1), 2.0, requires_grad=True)
    y = Residual(block, stop)(x)
    y.backward()
    assert y.item() == 8
    assert x.grad.item() == gradient
    assert block.weight.grad.item() == 2  # the block itself still learns
