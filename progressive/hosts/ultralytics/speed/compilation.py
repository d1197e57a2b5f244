"""Let torch.compile make one graph for each image size of a schedule."""

from __future__ import annotations

from collections.abc import Callable

import torch._dynamo.config as dynamo

from progressive.schedule import ProgressiveSchedule

#: How many graphs PyTorch compiles of a function; the second is what torch 2.6 calls it.
LIMIT = "recompile_limit" if hasattr(dynamo, "recompile_limit") else "cache_size_limit"


def compile_once_per_size(schedule: ProgressiveSchedule) -> Callable[[], None]:
    """Set PyTorch's compiler up for a model whose input changes size at stage boundaries.

    By default the second size makes it compile for any size, which is slower for all of them; and
    after eight graphs it would stop compiling.

    Returns:
        What sets the compiler back.
    """
    before = dynamo.automatic_dynamic_shapes, getattr(dynamo, LIMIT)
    sizes = len({stage.image_size for stage in schedule.stages})
    dynamo.automatic_dynamic_shapes = False
    # Training and evaluation are two graphs of one size; and a smaller last batch adds one to each.
    setattr(dynamo, LIMIT, max(before[1], 4 * sizes))

    def restore() -> None:
        dynamo.automatic_dynamic_shapes = before[0]
        setattr(dynamo, LIMIT, before[1])

    return restore
