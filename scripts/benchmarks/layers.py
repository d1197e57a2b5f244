"""What single measures on a CPU bring: layers computed another way, memory that is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from statistics import median

import torch
from benchmarks.rows import Row
from benchmarks.training import BATCH, b0
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import nn
from torch.utils._pytree import tree_leaves

from progressive.hosts.ultralytics.speed.allocator import keep_freed_memory
from progressive.hosts.ultralytics.speed.cpu_layers import reroute_layers
from progressive.machine import available_cpus

#: Layers of EfficientNetV2-B0 and the (C, H, W) they see at an image size.
LAYERS = (
    (
        "depthwise convolution with a stride",
        nn.Conv2d(672, 672, 3, 2, groups=672, bias=False),
        (672, 21, 21),
    ),
    ("pointwise convolution of 3 x 3 px", nn.Conv2d(192, 1152, 1, bias=False), (192, 3, 3)),
    ("squeeze-and-excitation", SqueezeExcite(672, rd_channels=28), (672, 20, 20)),
)


def rows(repeats: int = 9) -> list[Row]:
    """Compare forward and backward passes in bfloat16, channels last, plain over ours."""
    threads = torch.get_num_threads()
    torch.set_num_threads(available_cpus())
    detector = b0().model.train()
    memory = _memory(detector, 640, repeats=3)
    restore = keep_freed_memory()
    try:
        found = [_compare(name, layer, shape, repeats) for name, layer, shape in LAYERS]
        for size in (96, 320):
            found.append(_compare(f"YOLOv8n on B0 at {size} px", detector, (3, size, size), 3))
        return [*found, memory]
    finally:
        restore()
        torch.set_num_threads(threads)


def _compare(name: str, layer: nn.Module, shape: tuple[int, int, int], repeats: int) -> Row:
    plain = deepcopy(layer).to(memory_format=torch.channels_last)
    ours = deepcopy(plain)
    reroute_layers(ours)
    images = torch.randn(BATCH, *shape).to(memory_format=torch.channels_last)
    if shape[0] != 3:
        images = images.bfloat16()
    pairs = [(_seconds(plain, images), _seconds(ours, images)) for _ in range(1 + repeats)][1:]
    return _row(f"{name}: plain bfloat16 / ours", pairs)


def _memory(detector: nn.Module, size: int, repeats: int) -> Row:
    """Compare a step with the C library as it is and with freed memory kept."""
    model = detector.to(memory_format=torch.channels_last)
    images = torch.rand(BATCH, 3, size, size)
    pairs = []
    for _ in range(repeats):
        given_back = min(_seconds(model, images) for _ in range(2))
        restore = keep_freed_memory()
        kept = min(_seconds(model, images) for _ in range(2))
        restore()
        pairs.append((given_back, kept))
    return _row(f"YOLOv8n on B0 at {size} px: freed memory given back / kept", pairs)


def _row(name: str, pairs: list[tuple[float, float]]) -> Row:
    before, after = (1000 * median(times) for times in zip(*pairs, strict=True))
    note = f"{before:.2f} / {after:.2f} ms, batch {BATCH}"
    return Row(name, tuple(a / b for a, b in pairs), note=note)


def _seconds(model: Callable[[torch.Tensor], object], images: torch.Tensor) -> float:
    images = images.clone().requires_grad_()
    start = time.perf_counter()
    with torch.autocast("cpu"):
        outputs = tree_leaves(model(images))
    learned = [o for o in outputs if isinstance(o, torch.Tensor) and o.requires_grad]
    torch.autograd.backward(learned, [torch.ones_like(output) for output in learned])
    return time.perf_counter() - start
