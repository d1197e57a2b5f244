"""Whole networks of gradient-path layers, as in the configurations that their authors published.

Darknet-53 and CSPDarknet-53 are darknet53.cfg and csdarknet53.cfg. ELAN is the backbone of
yolov7.yaml. PRN is Darknet-53 with masked residual layers, because arXiv 2211.04800 masks the
residual layers of an existing network. The other published PRN, YOLOv3-tiny-PRN, has its partial
residuals in the neck; it is in `prn`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

import torch
from torch import nn
from ultralytics.nn.modules.conv import Conv

from progressive.detectors.catalog import check_fractions, check_variant
from progressive.detectors.gradient_path.layers import (
    MaskedResidual,
    Residual,
    leaky_conv,
    silu_conv,
)
from progressive.detectors.gradient_path.stages import CSPStage, ELANStage
from progressive.errors import InputError

#: Residual blocks in the stages of Darknet-53, at strides 2, 4, 8, 16 and 32.
DARKNET_BLOCKS = (1, 2, 8, 8, 4)


class Stage(nn.Sequential):
    """The layers of a network at one stride, which `progressive.gradients` counts together.

    Args:
        stride: stride of the stage.
        *layers: the layers, in order.
    """

    def __init__(self, stride: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.stage_stride = stride


class Features(nn.Module):
    """A sequence of stages that returns the feature maps of the last three.

    Args:
        stages: the stages; the last three have the strides 8, 16 and 32.
        channels: channels of the last three.
    """

    def __init__(self, stages: Sequence[Stage], channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels
        # Block i of n has i / n of the last block's rate (arXiv 1603.09382).
        residuals = [layer for layer in self.modules() if isinstance(layer, Residual)]
        for i, layer in enumerate(residuals, start=1):
            layer.drop_path.depth_fraction = i / len(residuals)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map (B, 3, H, W) to maps (B, C, H/s, W/s) for s = 8, 16, 32."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[-3:]


class Classifier(nn.Module):
    """The image classifier of a design: global average pooling and one linear layer.

    Its state dict has the same names as the backbone's `body`, so `backbone.weights` accepts it.

    Args:
        features: the stages of the design.
        classes: number of classes.
    """

    def __init__(self, features: Features, classes: int) -> None:
        super().__init__()
        self.stages = features.stages
        self.classifier = nn.Linear(features.channels[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, H, W) to (B, classes) logits."""
        for stage in self.stages:
            x = stage(x)
        return self.classifier(x.mean(dim=(2, 3)))


def build_features(
    design: str,
    width: float = 1.0,
    depth: float = 1.0,
    variant: float | str | None = None,
    images: int = 3,
) -> Features:
    """Build the stages of a design.

    Args:
        design: darknet53, prn, cspdarknet53 or elan.
        width: fraction of the channels, in (0, 1]; they are rounded to multiples of 8.
        depth: fraction of the blocks of each stage (in ELAN: of its stacks), in (0, 1]; rounded up.
        variant: what the paper varies in this design; see `gradient_path`.
        images: channels of the images.

    Raises:
        InputError: the design is unknown, a fraction is out of range, or the design does not have
            this variant.
    """
    if design not in DESIGNS:
        raise InputError(f"design={design}: must be one of {', '.join(DESIGNS)}")
    check_fractions(width, depth)
    check_variant(design, variant)
    given = () if variant is None else (variant,)
    features = DESIGNS[design](width, depth, *given)
    if images != 3:
        first = next(layer for layer in features.modules() if isinstance(layer, Conv))
        first.conv = nn.Conv2d(
            images,
            first.conv.out_channels,
            first.conv.kernel_size,
            first.conv.stride,
            first.conv.padding,
            bias=False,
        )
    return features


def classifier(
    design: str,
    classes: int = 1000,
    width: float = 1.0,
    depth: float = 1.0,
    variant: float | str | None = None,
) -> Classifier:
    """Build the image classifier of a design.

    Args:
        design: as in `build_features`.
        classes: number of classes.
        width: as in `build_features`.
        depth: as in `build_features`.
        variant: as in `build_features`.

    Raises:
        InputError: as in `build_features`.
    """
    return Classifier(build_features(design, width, depth, variant), classes)


def _darknet53(width: float, depth: float) -> Features:
    return _prn(width, depth, mask=0)


def _prn(width: float, depth: float, mask: float = 0.5) -> Features:
    def stage(channels: int, blocks: int, _first: bool) -> list[Residual]:
        return [_residual(channels, channels // 2, mask) for _ in range(blocks)]

    return _darknet(width, depth, stage)


def _cspdarknet53(width: float, depth: float, fusion: str = "csp") -> Features:
    def stage(channels: int, blocks: int, first: bool) -> list[CSPStage]:
        # The published network does not halve the channels of its first stage. Fusion last has to,
        # because its output is the two halves.
        half = channels if first and fusion != "last" else channels // 2
        hidden = half // 2 if first else half
        inner = nn.Sequential(*[_residual(half, hidden) for _ in range(blocks)])
        return [CSPStage(channels, inner, half, fusion)]

    return _darknet(width, depth, stage)


def _darknet(
    width: float, depth: float, stage: Callable[[int, int, bool], Sequence[nn.Module]]
) -> Features:
    """Build Darknet-53 with other stages, each after a convolution of stride 2.

    Args:
        width: as in `build_features`.
        depth: as in `build_features`.
        stage: called with the channels of a stage, its number of blocks and whether it is the first
            stage; returns its layers.
    """
    channels = [_scaled(count, width) for count in (32, 64, 128, 256, 512, 1024)]
    stages = []
    for i, blocks in enumerate(DARKNET_BLOCKS):
        down = [leaky_conv(channels[i], channels[i + 1], 3, 2)]
        if i == 0:
            down.insert(0, leaky_conv(3, channels[0], 3))
        layers = stage(channels[i + 1], ceil(blocks * depth), i == 0)
        stages.append(Stage(2 ** (i + 1), *down, *layers))
    return Features(stages, (channels[3], channels[4], channels[5]))


def _residual(channels: int, hidden: int, mask: float = 0) -> Residual:
    block = nn.Sequential(leaky_conv(channels, hidden), leaky_conv(hidden, channels, 3))
    return MaskedResidual(block, channels, mask) if mask else Residual(block)


def _elan(width: float, depth: float, stacks: int = 2) -> Features:
    stacks = ceil(stacks * depth)
    c = _scaled(32, width)
    stem = (silu_conv(3, c, 3), silu_conv(c, 2 * c, 3, 2), silu_conv(2 * c, 2 * c, 3))
    first = (silu_conv(2 * c, 4 * c, 3, 2), ELANStage(4 * c, 2 * c, 8 * c, stacks))
    stages = [Stage(2, *stem), Stage(4, *first)]
    channels = 8 * c
    for stride, hidden, out in ((8, 4 * c, 16 * c), (16, 8 * c, 32 * c), (32, 8 * c, 32 * c)):
        stage = ELANStage(channels, hidden, out, stacks)
        stages.append(Stage(stride, Downsample(channels), stage))
        channels = out
    return Features(stages, (16 * c, 32 * c, 32 * c))


class Downsample(nn.Module):
    """YOLOv7's downsampling: half of the channels by pooling, half by a convolution of stride 2.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.pooled = nn.Sequential(nn.MaxPool2d(2), silu_conv(channels, half))
        self.strided = nn.Sequential(silu_conv(channels, half), silu_conv(half, half, 3, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, C, H/2, W/2)."""
        return torch.cat([self.strided(x), self.pooled(x)], dim=1)


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width / 8) * 8)


#: The function that builds each design from a fraction of width, one of depth, and its variant.
DESIGNS: dict[str, Callable[..., Features]] = {
    "darknet53": _darknet53,
    "prn": _prn,
    "cspdarknet53": _cspdarknet53,
    "elan": _elan,
}
