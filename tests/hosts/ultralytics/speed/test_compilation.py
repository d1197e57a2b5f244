"""torch.compile over a schedule."""

from __future__ import annotations

import pytest
import torch
import torch._dynamo.config as dynamo
from torch import nn
from torch._dynamo.testing import CompileCounter

from progressive.hosts.ultralytics.speed.compilation import LIMIT, compile_once_per_size
from progressive.schedule import ProgressiveSchedule


@pytest.mark.slow
def test_one_graph_for_each_size():
    schedule = ProgressiveSchedule.linear(epochs=6, stages=6, image_size=(32, 192))
    counter = CompileCounter()
    torch._dynamo.reset()
    with dynamo.patch(**{"automatic_dynamic_shapes": True, LIMIT: 2}):
        restore = compile_once_per_size(schedule)
        model = torch.compile(nn.Conv2d(3, 4, 3), backend=counter)
        for stage in schedule.stages:
            for _ in range(2):
                model(torch.rand(1, 3, stage.image_size, stage.image_size))
        restore()
        assert (dynamo.automatic_dynamic_shapes, getattr(dynamo, LIMIT)) == (True, 2)
    torch._dynamo.reset()
    assert counter.frame_count == 6
