"""Let PyTorch use the whole processor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from progressive.machine import available_cpus


def use_all_cores() -> Callable[[], None]:
    """Compute on every core this process may use; return what sets the number back.

    Ultralytics leaves one core unused, which is half of a small machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(available_cpus())
    return partial(torch.set_num_threads, before)


def fuse_optimizer(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """Let an optimizer update all weights in one kernel; return what undoes it.

    On a CPU it does not do so by itself. At a quarter of the image size, where a step takes a
    tenth of the time, the difference is a tenth of the step.
    """
    groups = [group for group in optimizer.param_groups if "fused" in group]
    before = [group["fused"] for group in groups]
    for group in groups:
        group["fused"] = True

    def restore() -> None:
        for group, fused in zip(groups, before, strict=True):
            group["fused"] = fused

    return restore
