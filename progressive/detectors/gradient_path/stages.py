"""Stages designed by how they split and join gradient paths: CSPNet, VoVNet's OSA and ELAN."""

from __future__ import annotations

import torch
from torch import nn

from progressive.detectors.gradient_path.layers import Branched, MakeConv, leaky_conv, silu_conv
from progressive.errors import InputError

#: The ways in which `CSPStage` joins its halves.
FUSIONS = ("csp", "first", "last")


class CSPStage(Branched):
    """A stage with blocks on half of the channels; the other half goes past them (CSPNet).

    As in the published CSPDarknet-53, the halves are not slices of the input. Each is the output of
    a 1x1 convolution of the whole input. They are joined in one of three ways, which truncate the
    gradient at different places:

    - "csp": a transition after the blocks, concatenation, a transition of both halves;
    - "first" (fusion first): concatenation, a transition of both halves;
    - "last" (fusion last): a transition after the blocks, concatenation.

    Args:
        channels: C of the input and output, (B, C, H, W).
        blocks: keep the number of channels, `half`, and the size.
        half: channels of each half; None for C / 2.
        fusion: one of the three.
        conv: makes the convolutions.
        stop: see `Branched`; the identity is the half that goes past the blocks.

    Raises:
        InputError: the fusion is unknown, or it is "last" and the two halves do not have C channels
            together.
    """

    def __init__(
        self,
        channels: int,
        blocks: nn.Module,
        half: int | None = None,
        fusion: str = "csp",
        conv: MakeConv = leaky_conv,
        stop: str | None = None,
    ) -> None:
        super().__init__(stop)
        half = channels // 2 if half is None else half
        if fusion not in FUSIONS:
            raise InputError(f"fusion={fusion}: must be one of {', '.join(FUSIONS)}")
        if fusion == "last" and 2 * half != channels:
            raise InputError(f"fusion=last: two halves of {half} do not make {channels} channels")
        self.cross = conv(channels, half)
        self.entry = conv(channels, half)
        self.blocks = blocks
        self.block_transition = nn.Identity() if fusion == "first" else conv(half, half)
        self.transition = nn.Identity() if fusion == "last" else conv(2 * half, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to the same shape."""
        crossed = self.cross(self.identity_input(x))
        y = self.block_transition(self.blocks(self.entry(self.block_input(x))))
        return self.transition(torch.cat([y, crossed], dim=1))


class OSAModule(Branched):
    """One-shot aggregation (VoVNet, arXiv 1904.09730): one transition joins all layers.

    Every gradient passes the transition. So each module that is stacked after a layer makes the
    layer's shortest gradient path longer by one.

    Args:
        channels: channels of the input.
        hidden: channels of each 3x3 convolution.
        out_channels: channels of the output.
        layers: number of 3x3 convolutions.
        conv: makes the convolutions.
        stop: see `Branched`; each convolution is a block, and the shortcut from its input to the
            transition is an identity.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        out_channels: int,
        layers: int = 5,
        conv: MakeConv = leaky_conv,
        stop: str | None = None,
    ) -> None:
        super().__init__(stop)
        widths = [channels, *[hidden] * layers]
        self.layers = nn.ModuleList(conv(widths[i], hidden, 3) for i in range(layers))
        self.transition = conv(sum(widths), out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, channels, H, W) to (B, out_channels, H, W)."""
        parts = []
        for layer in self.layers:
            parts.append(self.identity_input(x))
            x = layer(self.block_input(x))
        return self.transition(torch.cat([*parts, x], dim=1))


class ELANStage(Branched):
    """A stack of blocks and a half that goes past them, joined by one transition (ELAN).

    The paper calls it "stack in computational block": a deeper stage has more blocks before its
    only transition, so the depth does not change the shortest gradient path.

    Args:
        channels: channels of the input.
        hidden: channels of each half and of each block.
        out_channels: channels of the output.
        stacks: number of blocks; YOLOv7 has 2.
        depth: number of 3x3 convolutions in a block; YOLOv7 has 2.
        conv: makes the convolutions.
        stop: see `Branched`; identities are the half that goes past the blocks and all other
            shortcuts to the transition, blocks are the half that enters the blocks and each block.

    Raises:
        InputError: `stacks` is less than 1.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        out_channels: int,
        stacks: int = 2,
        depth: int = 2,
        conv: MakeConv = silu_conv,
        stop: str | None = None,
    ) -> None:
        super().__init__(stop)
        if stacks < 1:
            raise InputError(f"stacks={stacks}: must be at least 1")
        self.cross = conv(channels, hidden)
        self.entry = conv(channels, hidden)
        self.stacks = nn.ModuleList(
            nn.Sequential(*[conv(hidden, hidden, 3) for _ in range(depth)]) for _ in range(stacks)
        )
        self.transition = conv((2 + stacks) * hidden, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, channels, H, W) to (B, out_channels, H, W)."""
        parts = [self.cross(self.identity_input(x))]
        y = self.entry(self.block_input(x))
        for stack in self.stacks:
            parts.append(self.identity_input(y))
            y = stack(self.block_input(y))
        return self.transition(torch.cat([y, *reversed(parts)], dim=1))
