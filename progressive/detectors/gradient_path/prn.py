"""YOLOv3-tiny-PRN, the detector that partial residual networks were published with."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from progressive.detectors.gradient_path.layers import Residual, fit_channels, leaky_conv


class YOLOv3TinyPRN(nn.Module):
    """YOLOv3-tiny in which residual layers stand in for concatenations (yolov3-tiny-prn.cfg).

    Here to check the layers against published numbers: 3.467 BFLOPs at 416 px, and 4.95 M
    parameters, where this network has 4.94 M and the published weight file (18.8 MB) holds no more.
    The two outputs are those before Darknet decodes boxes from them.

    Args:
        outputs: channels of each output: 3 anchors times 4 coordinates, objectness and 80 classes.
    """

    def __init__(self, outputs: int = 255) -> None:
        super().__init__()
        channels = (3, 16, 32, 64, 128, 256)
        self.stages = nn.ModuleList(leaky_conv(channels[i], channels[i + 1], 3) for i in range(5))
        self.pool = nn.MaxPool2d(2)
        self.deepest = leaky_conv(256, 512, 3)
        # Darknet pools at stride 1 without shrinking the map: beyond its edge there is nothing.
        pool = nn.Sequential(nn.ConstantPad2d((0, 1, 0, 1), -torch.inf), nn.MaxPool2d(2, 1))
        self.residual = Residual(nn.Sequential(pool, leaky_conv(512, 512, 3)))
        self.reduce = leaky_conv(512, 256)
        self.large = leaky_conv(256, 256, 3)
        self.large_output = nn.Conv2d(256, outputs, 1)
        self.lateral = leaky_conv(256, 128)
        self.small = leaky_conv(128, 128, 3)
        self.small_output = nn.Conv2d(128, outputs, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (B, 3, H, W), H and W multiples of 32, to outputs at strides 32 and 16."""
        x = self.stages[0](images)
        for stage in self.stages[1:]:
            x = stage(self.pool(x))
        partial = fit_channels(x, 128)  # of 256 channels at stride 16
        x = _leaky(self.residual(self.deepest(self.pool(x))))
        reduced = self.reduce(x)
        x = self.large(reduced)
        large = self.large_output(_leaky(x + reduced))
        lateral = functional.interpolate(self.lateral(x), scale_factor=2)
        x = self.small(_leaky(lateral + partial))
        small = self.small_output(_leaky(_leaky(x + lateral) + partial))
        return large, small


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(x, 0.1)
