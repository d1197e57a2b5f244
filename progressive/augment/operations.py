"""The sixteen operations of RandAugment as a table: what each does and how strong a magnitude is.

The list and the scale are those of the code EfficientNetV2 was trained with (google/automl,
``efficientnetv2/autoaugment.py``): a magnitude m is read as m / 10, so the paper's 5..25 keep their
meaning. Two things differ, so that a larger m is a stronger augmentation for every operation.

* There, colour, contrast, brightness and sharpness take the factor 0.18 m + 0.1, which falls
  towards the identity up to m = 5 and leaves it upwards only. Here the factor starts at the
  identity and goes either way: up by 0.09 m, which meets the original at m = 10 (1.9), or down by
  0.03 m, which reaches 0.1 at m = 30. As fast down as up, an image would be black from m = 11 on.
* There, posterize and solarize grow *weaker* with m and do nothing from m = 20 and m = 10 on. Here
  they are spread over the whole scale: 8 bits to 1, and a threshold from 256 to 0.

Lengths are relative to the side of the image. The original counts pixels of images of about 300.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from progressive.augment import geometry, photometric
from progressive.augment.geometry import Matrix, Rectangle
from progressive.augment.photometric import Image

MAX_MAGNITUDE = 30.0


@dataclass(frozen=True)
class Scale:
    """How an operation's argument follows the magnitude: in a straight line from the identity.

    Attributes:
        identity: the argument that changes nothing, taken at magnitude 0.
        slopes: change of the argument for each unit of magnitude, one for each way it can go.
    """

    identity: float = 0.0
    slopes: tuple[float, ...] = (0.0,)

    def strengths(self, magnitude: float) -> tuple[float, ...]:
        """The argument at a magnitude of 0..30, for each way."""
        return tuple(self.identity + slope * magnitude for slope in self.slopes)


@dataclass(frozen=True)
class Photometric:
    """Changes pixel values: ``pixels(image, strength)``."""

    pixels: Callable[[Image, float], Image]
    scale: Scale = Scale()


@dataclass(frozen=True)
class Geometric:
    """Moves the image and all that is marked in it: ``matrix(strength, height, width)``."""

    matrix: Callable[[float, int, int], Matrix]
    scale: Scale


@dataclass(frozen=True)
class Hiding:
    """Paints over a rectangle: ``hole(strength, x, y, height, width)``, with x and y in 0..1."""

    hole: Callable[[float, float, float, int, int], Rectangle]
    scale: Scale


def cutout_hole(side: float, x: float, y: float, height: int, width: int) -> Rectangle:
    """A square around (x, y), in whole pixels and cut at the border, as x_min, y_min, x_max, y_max.

    Args:
        side: of the square, relative to the image's shorter side.
        x: the centre, relative to the width.
        y: the centre, relative to the height.
        height: of the image, in pixels.
        width: of the image, in pixels.
    """
    reach = side * min(height, width) / 2
    return (
        float(round(max(x * width - reach, 0))),
        float(round(max(y * height - reach, 0))),
        float(round(min(x * width + reach, width))),
        float(round(min(y * height + reach, height))),
    )


_FACTOR = Scale(1, (0.09, -0.03))
_SLOPE = Scale(0, (0.03, -0.03))
_FRACTION = Scale(0, (10 / 300, -10 / 300))

OPERATIONS: Mapping[str, Photometric | Geometric | Hiding] = MappingProxyType(
    {
        "AutoContrast": Photometric(photometric.autocontrast),
        "Equalize": Photometric(photometric.equalize),
        "Invert": Photometric(photometric.invert),
        "Rotate": Geometric(geometry.rotation, Scale(0, (3, -3))),
        "Posterize": Photometric(photometric.posterize, Scale(8, (-7 / MAX_MAGNITUDE,))),
        "Solarize": Photometric(photometric.solarize, Scale(256, (-256 / MAX_MAGNITUDE,))),
        "Color": Photometric(photometric.color, _FACTOR),
        "Contrast": Photometric(photometric.contrast, _FACTOR),
        "Brightness": Photometric(photometric.brightness, _FACTOR),
        "Sharpness": Photometric(photometric.sharpness, _FACTOR),
        "ShearX": Geometric(geometry.shear_x, _SLOPE),
        "ShearY": Geometric(geometry.shear_y, _SLOPE),
        "TranslateX": Geometric(geometry.translation_x, _FRACTION),
        "TranslateY": Geometric(geometry.translation_y, _FRACTION),
        # The original reaches 4 m pixels to each side of the centre.
        "Cutout": Hiding(cutout_hole, Scale(0, (8 / 300,))),
        # As in the original; from m = 24 on all that was dark is white.
        "SolarizeAdd": Photometric(photometric.solarize_add, Scale(0, (11,))),
    }
)
