"""Channel dropout for detectors that have none, at the inputs of the head.

It is put behind the activation that ends a layer the head reads, as
`nn.Sequential(activation, nn.Dropout2d)`. Neither has parameters, so the names of all weights
stay as they were, and the saved model holds no class but PyTorch's and Ultralytics' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

#: Attribute of an inserted pair, which stays with it when a model is saved.
MARK = "head_dropout"


def insert_head_dropout(model: Any, channels: int = 3) -> Callable[[], None]:
    """Insert channel dropout of rate 0 in front of the head of an Ultralytics model.

    A map that ends in an operation without a module, such as an addition, cannot be reached.

    Args:
        model: a detection, segmentation, pose or oriented-box model; one that has `nn.Dropout2d`
            anywhere is left alone.
        channels: of its images.

    Returns:
        What takes it out again.
    """
    if any(isinstance(module, nn.Dropout2d) for module in model.modules()):
        return lambda: None
    for parent, name in list(_last_activations(model, channels)):
        pair = nn.Sequential(getattr(parent, name), nn.Dropout2d(p=0.0))
        setattr(pair, MARK, True)
        setattr(parent, name, pair)
    return partial(remove_head_dropout, model)


def remove_head_dropout(model: nn.Module) -> None:
    """Take out what `insert_head_dropout` inserted, perhaps before the model was saved."""
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Sequential) and hasattr(child, MARK)
    ]
    for parent, name, child in places:
        setattr(parent, name, child[0])


def _last_activations(model: Any, channels: int) -> Iterator[tuple[nn.Module, str]]:
    """Yield (module, attribute) of the layer without parameters that made each input of the head.

    Found by watching a forward pass for the modules that return the very tensor the head reads.
    Ultralytics shares one activation object between all layers, hence the pair.
    """
    layers = model.model
    head = layers[-1]
    returned: list[tuple[nn.Module, torch.Tensor]] = []  # innermost module first

    def note(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            returned.append((module, output))

    handles = [module.register_forward_hook(note) for module in layers[:-1].modules()]
    training, weight = model.training, next(model.parameters())
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, channels, 64, 64, device=weight.device, dtype=weight.dtype))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    for index in [head.f] if isinstance(head.f, int) else head.f:
        layer = layers[index if index >= 0 else head.i + index]
        final = next((output for module, output in returned if module is layer), None)
        makers = [module for module, output in returned if output is final]
        for parent in [module for module in makers if list(module.children())][:1]:
            for name, child in parent.named_children():
                if child in makers and not list(child.parameters()):
                    yield parent, name
