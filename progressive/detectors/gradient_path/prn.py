"""YOLOv3-tiny-PRN, the detector that partial residual networks were published with."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from progressive.detectors.gradient_path.layers import Residual, fit_channels, leaky_conv


class YOLOv3TinyPRN(nn.Module):
    """YOLOv3-tiny with residual layers instead of concatenations (yolov3-tiny-prn.cfg).

    It makes it possible to compare the layers with published numbers. Published are 3.467 BFLOPs at
    416 px and 4.95 M parameters. This network has 4.94 M, as many as the published weight file
    (18.8 MB) contains. The two outputs are not decoded into boxes.

    Args:
        outputs: channels of each output. 255 is 3 anchors times 4 coordinates, objectness and 80
            classes.
    """

    def __init__(self, outputs: int = 255) -> None:
        super().__init__()
        channels = (3, 16, 32, 64, 128, 256)
        self.stages = nn.ModuleList(leaky_conv(channels[i], channels[i + 1], 3) for i in range(5))
        self.pool = nn.MaxPool2d(2)
        self.deepest = leaky_conv(256, 512, 3)
        # Darknet's pooling at stride 1 keeps the size of the map. The padding is never the maximum.
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
        partial = fit_channels(x, 128)  # half of the channels at stride 16
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
