"""Trace the paths that gradients take through a network, in its autograd graph.

PyTorch sends gradients through the same graph. So the result is right whatever the code of a model
does, for example if it detaches a tensor. The terms are explained in `progressive.gradients`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from progressive.detectors.gradient_path.layers import Branched, set_gradient_stop
from progressive.errors import InputError
from progressive.gradients.paths import GradientPaths, LayerPaths, summarise

#: A node of the autograd graph. PyTorch has no public type for its own nodes.
Node = Any


def trace(module: nn.Module, example: torch.Tensor, stop: str | None = None) -> GradientPaths:
    """Trace the gradient paths of a network.

    The stage of a layer is given by the stride of its output, unless a module around the layer
    states a stride as `stage_stride`. After global pooling, as in squeeze-and-excitation, a layer
    belongs to the stage of the layer that ran before it.

    Args:
        module: any network. On the meta device, tracing takes no memory and hardly any time.
        example: input of the network, (B, C, H, W), with H above the largest stride.
        stop: "identity" or "block" stops the gradient there, in all layers that have both.

    Raises:
        InputError: `stop` is given, but the network has no such layers; or no layer of the network
            is reached by gradient.
    """
    with ExitStack() as stack:
        if stop is not None:
            stack.enter_context(_stopped(module, stop))
        calls = stack.enter_context(_recorded(module, example))
        with torch.enable_grad():
            outputs = module(example)
    roots = [tensor.grad_fn for tensor in _tensors(outputs) if tensor.grad_fn is not None]
    _find_sources(roots, calls)
    if not any(call.sources for call in calls.values()):
        raise InputError(f"{type(module).__name__}: has no layer that a gradient reaches")
    return summarise(_count_steps(list(calls.values())))


@dataclass
class _Call:
    """One call of a layer in the forward pass.

    Attributes:
        index: position in the order of calls.
        name: name of the module.
        stride: stride of its stage.
        sources: set of sources as bits: bit 0 is the loss, bit i + 1 is call i.
    """

    index: int
    name: str
    stride: int
    sources: int = 0


@contextmanager
def _stopped(module: nn.Module, stop: str) -> Iterator[None]:
    """Stop the gradient in the layers of a network, and restore them afterwards."""
    before = [(layer, layer.stop) for layer in module.modules() if isinstance(layer, Branched)]
    try:
        if not set_gradient_stop(module, stop):
            raise InputError(f"stop={stop}: only the gradient-path designs can stop gradients")
        yield
    finally:
        for layer, was in before:
            layer.stop = was


@contextmanager
def _recorded(module: nn.Module, example: torch.Tensor) -> Iterator[dict[Node, _Call]]:
    """Record the layers that run, in order; the keys are the graph nodes of their outputs."""
    calls: dict[Node, _Call] = {}
    stated = _stated_strides(module)
    last = 1

    def record(name: str, layer: nn.Module, output: Any) -> None:
        nonlocal last
        if torch.is_tensor(output) and output.grad_fn is not None:
            last = stated.get(name) or _stride(example, layer, output) or last
            calls[output.grad_fn] = _Call(len(calls), name, last)

    handles = [
        layer.register_forward_hook(lambda layer, _, output, name=name: record(name, layer, output))
        for name, layer in module.named_modules()
        if _is_layer(layer)
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _is_layer(module: nn.Module) -> bool:
    """Return whether a module has a weight matrix or kernel."""
    weight = getattr(module, "weight", None)
    return torch.is_tensor(weight) and weight.dim() > 1 and not isinstance(module, nn.Embedding)


def _stated_strides(module: nn.Module) -> dict[str, int]:
    """Return the stride that a module around it states, by name of the module."""
    return {
        f"{name}.{inner}".strip("."): stage.stage_stride
        for name, stage in module.named_modules()
        if isinstance(getattr(stage, "stage_stride", None), int)
        for inner, _ in stage.named_modules()
    }


def _stride(example: torch.Tensor, layer: nn.Module, output: torch.Tensor) -> int | None:
    """Return the stride of a layer's output, or None if it is not a map."""
    if example.dim() != 4 or output.dim() != 4:
        return None
    # Linear layers have the channels last, so their maps are (B, H, W, C).
    height = output.shape[1 if isinstance(layer, nn.Linear) else 2]
    return round(example.shape[2] / height) if height > 1 else None


def _tensors(outputs: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested outputs."""
    if torch.is_tensor(outputs):
        yield outputs
    elif isinstance(outputs, Mapping):
        yield from _tensors(list(outputs.values()))
    elif isinstance(outputs, (list, tuple)):
        for output in outputs:
            yield from _tensors(output)


def _find_sources(roots: list[Node], calls: Mapping[Node, _Call]) -> None:
    """Find the sources of each call, by going through the graph from the loss to the input.

    Sources are passed from node to node. At a layer, they are stored, and only the layer itself is
    passed on.
    """
    arrived = dict.fromkeys(roots, 1)
    for node in _from_loss_to_input(roots):
        sources = arrived[node]
        if node in calls:
            calls[node].sources = sources
            sources = 1 << (calls[node].index + 1)
        for before, _ in node.next_functions:
            if before is not None:
                arrived[before] = arrived.get(before, 0) | sources


def _from_loss_to_input(roots: list[Node]) -> list[Node]:
    """Order the graph so that each node comes after all nodes that pass gradient to it."""
    finished: dict[Node, None] = {}
    waiting = [(root, False) for root in roots]
    while waiting:  # depth first, without recursion, because graphs are thousands of nodes deep
        node, expanded = waiting.pop()
        if expanded:
            finished[node] = None
        elif node not in finished:
            waiting.append((node, True))
            waiting += [(n, False) for n, _ in node.next_functions if n is not None]
    return list(finished)[::-1]


def _count_steps(calls: list[_Call]) -> list[LayerPaths]:
    """Find the steps in which gradient reaches each layer.

    A set of steps is an integer with bit n set for step n. So one more step is a shift by one bit.
    """
    local, whole = [0] * len(calls), [0] * len(calls)
    for call in reversed(calls):  # the sources of a layer ran after it
        own = call.index
        if call.sources & 1:
            local[own] = whole[own] = 1 << 1
        for source in _bits(call.sources >> 1):
            same_stage = calls[source].stride == call.stride
            local[own] |= (local[source] if same_stage else 1) << 1
            whole[own] |= whole[source] << 1
    return [
        LayerPaths(
            call.name,
            call.stride,
            _bits(local[call.index]),
            _bits(whole[call.index]),
            ("loss",) * (call.sources & 1) + tuple(calls[i].name for i in _bits(call.sources >> 1)),
        )
        for call in calls
    ]


def _bits(number: int) -> tuple[int, ...]:
    """Return the positions of the bits that are set, ascending."""
    return tuple(i for i, bit in enumerate(reversed(bin(number)[2:])) if bit == "1")
