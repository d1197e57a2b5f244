"""Trace the paths that gradients take to the layers of a network, from its autograd graph.

The terms are those of arXiv 2211.04800. A *layer* here is one with a weight matrix or kernel:
convolution or linear; normalisation, activation and pooling count for nothing.

- A *gradient path* of a layer leads from the loss to it; its length is the number of layers on it,
  the layer itself included.
- The gradient advances by one layer a step, breadth first, and reaches a layer at step n if one of
  its paths has length n. Those steps are the layer's *gradient timestamps*: the first is its
  shortest path, the last its longest.
- The *gradient sources* of a layer are the layers, or the loss, that hand it gradient with no other
  layer between.

The loss reads everything that the network returns, a detector backbone's three maps for example.
Within a stage the same is counted from the stage's own output: from where gradient of the loss, or
of layers of other stages, comes in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from progressive.detectors.gradient_path_layers import Branched, set_gradient_stop

#: A node of the autograd graph.
Node = Any


@dataclass(frozen=True)
class LayerPaths:
    """How gradients reach one layer.

    Attributes:
        name: of its module.
        stride: of the stage it belongs to, relative to the example; 1 where there is no image.
        timestamps: lengths of its gradient paths, counted from the stage's output, rising.
        network_timestamps: the same counted from the loss.
        sources: layers that hand it gradient, or "loss".

    A layer that no gradient reaches has no timestamps and no sources.
    """

    name: str
    stride: int
    timestamps: tuple[int, ...]
    network_timestamps: tuple[int, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class StagePaths:
    """How gradients reach the layers of one stage, or of the whole network.

    Attributes:
        stride: of the stage; None for the network.
        layers: how many layers gradient reaches.
        unreached: how many it does not.
        shortest: shortest gradient path of the layer that is nearest to the stage's output (for the
            network: to the loss) and of the one that is farthest from it.
        longest: longest gradient path of the layers where it is shortest and longest.
        timestamps: number of different steps at which gradient reaches a layer of the stage.
        layer_timestamps: fewest and most of them at one layer.
        sources: number of different sources of the stage's layers.
        layer_sources: fewest and most of them at one layer.
    """

    stride: int | None
    layers: int
    unreached: int
    shortest: tuple[int, int]
    longest: tuple[int, int]
    timestamps: int
    layer_timestamps: tuple[int, int]
    sources: int
    layer_sources: tuple[int, int]


@dataclass(frozen=True)
class GradientPaths:
    """The gradient paths of a network.

    Attributes:
        stages: one for every stride at which there are layers, rising.
        network: the same over all layers, counted from the loss.
        layers: in the order of the forward pass.
    """

    stages: tuple[StagePaths, ...]
    network: StagePaths
    layers: tuple[LayerPaths, ...]


def analyse(module: nn.Module, example: torch.Tensor, stop: str | None = None) -> GradientPaths:
    """Trace the gradient paths of a network.

    A layer belongs to the stage of the stride at which it writes, unless a module around it has a
    `stage_stride`. What follows a global pooling, as in squeeze-and-excitation, belongs to the
    stage of the layer before.

    Args:
        module: any network; on the meta device the analysis takes no memory and hardly any time.
        example: its input, (B, C, H, W). H and W above the largest stride.
        stop: "identity" or "block" stops the gradient there in all layers that have both.

    Raises:
        ValueError: stop for a network without such layers, or no layer that gradient could reach.
    """
    with ExitStack() as stack:
        if stop is not None:
            stack.enter_context(_stopped(module, stop))
        calls = stack.enter_context(_recorded(module, example))
        with torch.enable_grad():
            outputs = module(example)
    roots = [tensor.grad_fn for tensor in _tensors(outputs) if tensor.grad_fn is not None]
    _find_sources(roots, calls)
    layers = _count_steps(list(calls.values()))
    if not any(layer.network_timestamps for layer in layers):
        raise ValueError(f"{type(module).__name__}: no gradient reaches a convolution or linear")
    stages = tuple(
        _stage(stride, [layer for layer in layers if layer.stride == stride])
        for stride in sorted({layer.stride for layer in layers})
    )
    return GradientPaths(stages, _stage(None, layers), tuple(layers))


@dataclass
class _Call:
    """One call of a layer in the forward pass."""

    index: int
    name: str
    stride: int
    sources: int = field(default=0)  # a set of calls as bits: bit 0 is the loss, bit i + 1 call i


@contextmanager
def _stopped(module: nn.Module, stop: str) -> Iterator[None]:
    before = [(layer, layer.stop) for layer in module.modules() if isinstance(layer, Branched)]
    try:
        if not set_gradient_stop(module, stop):
            raise ValueError(f"stop={stop}: only gradient-path designs have branches to stop")
        yield
    finally:
        for layer, was in before:
            layer.stop = was


@contextmanager
def _recorded(module: nn.Module, example: torch.Tensor) -> Iterator[dict[Node, _Call]]:
    """Note the autograd node of every layer that runs, with the stride of its stage."""
    calls: dict[Node, _Call] = {}
    marked = _marked_strides(module)
    last = 1

    def note(name: str, layer: nn.Module, output: Any) -> None:
        nonlocal last
        if not torch.is_tensor(output) or output.grad_fn is None:
            return
        last = marked.get(name) or _stride(example, layer, output) or last
        calls[output.grad_fn] = _Call(len(calls), name, last)

    handles = [
        layer.register_forward_hook(lambda layer, _, output, name=name: note(name, layer, output))
        for name, layer in module.named_modules()
        if _is_layer(layer)
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _is_layer(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return torch.is_tensor(weight) and weight.dim() > 1 and not isinstance(module, nn.Embedding)


def _marked_strides(module: nn.Module) -> dict[str, int]:
    """Return the stride of every module in one that states it for all it holds."""
    return {
        f"{name}.{inner}".strip("."): stage.stage_stride
        for name, stage in module.named_modules()
        if isinstance(getattr(stage, "stage_stride", None), int)
        for inner, _ in stage.named_modules()
    }


def _stride(example: torch.Tensor, layer: nn.Module, output: torch.Tensor) -> int | None:
    if example.dim() != 4 or output.dim() != 4:
        return None
    # Linear layers work on the last dimension: their maps are (B, H, W, C).
    height = output.shape[1] if isinstance(layer, nn.Linear) else output.shape[2]
    return round(example.shape[2] / height) if height > 1 else None


def _tensors(outputs: Any) -> Iterator[torch.Tensor]:
    if torch.is_tensor(outputs):
        yield outputs
    elif isinstance(outputs, Mapping):
        yield from _tensors(list(outputs.values()))
    elif isinstance(outputs, (list, tuple)):
        for output in outputs:
            yield from _tensors(output)


def _find_sources(roots: list[Node], calls: Mapping[Node, _Call]) -> None:
    """Pass the loss down the graph: through any node but a layer, which becomes the source."""
    arrived = dict.fromkeys(roots, 1)
    for node in _from_loss_to_input(roots):
        sources = arrived[node]
        if node in calls:
            calls[node].sources = sources
            sources = 1 << calls[node].index + 1
        for before, _ in node.next_functions:
            if before is not None:
                arrived[before] = arrived.get(before, 0) | sources


def _from_loss_to_input(roots: list[Node]) -> list[Node]:
    """Order the graph so that every node comes after all that hand it gradient."""
    finished: dict[Node, None] = {}
    waiting = [(root, False) for root in roots]
    while waiting:  # depth first, without recursion, as graphs are thousands of nodes deep
        node, done = waiting.pop()
        if done:
            finished[node] = None
        elif node not in finished:
            waiting.append((node, True))
            waiting += [(n, False) for n, _ in node.next_functions if n and n not in finished]
    return list(finished)[::-1]


def _count_steps(calls: list[_Call]) -> list[LayerPaths]:
    """Count how many layers gradients have passed when they reach each layer.

    Sets of steps are bits of an integer, so that one step further is a shift to the left.
    """
    local, whole = [0] * len(calls), [0] * len(calls)
    for call in reversed(calls):  # the sources of a layer ran after it
        if call.sources & 1:
            local[call.index] = whole[call.index] = 1 << 1
        for source in _bits(call.sources >> 1):
            same = calls[source].stride == call.stride
            local[call.index] |= (local[source] if same else 1) << 1
            whole[call.index] |= whole[source] << 1
    return [
        LayerPaths(
            call.name,
            call.stride,
            _bits(local[call.index]),
            _bits(whole[call.index]),
            (*["loss"] * (call.sources & 1), *(calls[i].name for i in _bits(call.sources >> 1))),
        )
        for call in calls
    ]


def _bits(number: int) -> tuple[int, ...]:
    return tuple(i for i, bit in enumerate(reversed(bin(number)[2:])) if bit == "1")


def _stage(stride: int | None, layers: list[LayerPaths]) -> StagePaths:
    reached = [layer for layer in layers if layer.sources]
    steps = [x.network_timestamps if stride is None else x.timestamps for x in reached]
    return StagePaths(
        stride,
        layers=len(reached),
        unreached=len(layers) - len(reached),
        shortest=_range(s[0] for s in steps),
        longest=_range(s[-1] for s in steps),
        timestamps=len({step for s in steps for step in s}),
        layer_timestamps=_range(len(s) for s in steps),
        sources=len({source for layer in reached for source in layer.sources}),
        layer_sources=_range(len(layer.sources) for layer in reached),
    )


def _range(numbers: Iterator[int]) -> tuple[int, int]:
    values = list(numbers) or [0]
    return min(values), max(values)
