"""Find out before the first epoch whether the last stage fits into a GPU's memory.

Ultralytics recovers from running out of memory in the first epoch only, and a progressive run
needs most in its last stage, hours later.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from progressive.errors import InputError


def probe_memory(
    model: nn.Module,
    shape: tuple[int, int, int, int],
    dtype: torch.dtype | None = None,
    processes: int = 1,
) -> None:
    """Take a forward and backward pass at the size of the last stage, and leave no trace.

    The loss is left out: what it needs depends on how many objects a batch has.

    Args:
        model: in training mode, on its device.
        shape: (B, C, H, W) of a batch in the last stage.
        dtype: of autocast; None for float32.
        processes: that share a batch of the trainer, of which B is one's part.

    Raises:
        InputError: it does not fit; says which size was tried, and the largest batch that does.
    """
    if _fits(model, shape, dtype):
        return
    device, (batch, *image) = next(model.parameters()).device, shape
    fits, too_large = 0, batch
    while too_large - fits > 1:
        tried = (fits + too_large) // 2
        if _fits(model, (tried, *image), dtype):
            fits = tried
        else:
            too_large = tried
    advice = (
        f"give batch={fits * processes} or less"
        if fits
        else "not even one image does; lower size.max"
    )
    raise InputError(
        f"progressive learning is impossible with batch={batch * processes}: the last stage, at "
        f"{shape[2]} px, does not fit into the memory of {device}; {advice}"
    )


def _fits(model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype | None) -> bool:
    """Tell whether a step of that shape fits into memory, and leave no trace."""
    device = next(model.parameters()).device
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                outputs = tree_leaves(model(torch.zeros(shape, device=device)))
            learned = [o for o in outputs if isinstance(o, torch.Tensor) and o.requires_grad]
            torch.stack([output.float().sum() for output in learned]).sum().backward()
    except torch.OutOfMemoryError:
        return False
    finally:
        model.zero_grad(set_to_none=True)
        for name, value in model.named_buffers():
            value.copy_(buffers[name])
        if devices:
            torch.cuda.empty_cache()
    return True
