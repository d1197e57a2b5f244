"""The sixteen operations of RandAugment as a table: what each does, and how strong a magnitude is.

The list and the scale are those of the code that EfficientNetV2 was trained with (google/automl,
`efficientnetv2/autoaugment.py`). A magnitude m is read as m / 10, so the paper's 5..25 keep their
meaning. There are two differences. They make every operation stronger when m is larger.

* In the original, colour, contrast, brightness and sharpness use the factor 0.18 m + 0.1. Up to
  m = 5 it approaches the identity, and later it only increases. Here the factor starts at the
  identity and goes in either direction: up by 0.09 m, which equals the original at m = 10 (1.9), or
  down by 0.03 m, which reaches 0.1 at m = 30. If it went down as fast as up, images would be black
  from m = 11.
* In the original, posterize and solarize become *weaker* with m. From m = 20 and m = 10 they do
  nothing. Here they use the whole scale: 8 bits to 1 bit, and a threshold from 256 to 0.

Lengths are relative to the side of the image. The original counts pixels, in images whose side is
about 300.

Images may have any number of channels. Geometric operations move all of them, and pixel operations
treat each by itself if they are not three. Only Color has no meaning then, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from progressive.augment import geometry, photometric
from progressive.augment.geometry import Matrix, Rectangle
from progressive.augment.photometric import Image

#: Largest magnitude of an operation.
MAX_MAGNITUDE = 30.0


@dataclass(frozen=True)
class Scale:
    """How the argument of an operation depends on the magnitude: linearly, from the identity.

    Attributes:
        identity: the argument at magnitude 0, which changes nothing.
        slopes: change of the argument per unit of magnitude, one for each possible direction.
    """

    identity: float = 0.0
    slopes: tuple[float, ...] = (0.0,)

    def strengths(self, magnitude: float) -> tuple[float, ...]:
        """Return the argument at a magnitude of 0..30, for each direction."""
        return tuple(self.identity + slope * magnitude for slope in self.slopes)


@dataclass(frozen=True)
class Photometric:
    """An operation that changes pixel values.

    Attributes:
        pixels: called with an image and a strength, returns the image.
        scale: how the strength depends on the magnitude.
        needs_colour: whether it means something for red, green and blue only.
    """

    pixels: Callable[[Image, float], Image]
    scale: Scale = Scale()
    needs_colour: bool = False


@dataclass(frozen=True)
class Geometric:
    """An operation that moves the image and its labels.

    Attributes:
        matrix: called with a strength, a height and a width, returns the matrix.
        scale: how the strength depends on the magnitude.
    """

    matrix: Callable[[float, int, int], Matrix]
    scale: Scale


@dataclass(frozen=True)
class Hiding:
    """An operation that hides a rectangle of the image.

    Attributes:
        hole: called with a strength, x and y in 0..1, a height and a width, returns the rectangle.
        scale: how the strength depends on the magnitude.
    """

    hole: Callable[[float, float, float, int, int], Rectangle]
    scale: Scale


def cutout_hole(side: float, x: float, y: float, height: int, width: int) -> Rectangle:
    """Return a square around (x, y), in whole pixels and cut at the border of the image.

    Args:
        side: side of the square, relative to the shorter side of the image.
        x: centre of the square, relative to the width.
        y: centre of the square, relative to the height.
        height: height of the image, in pixels.
        width: width of the image, in pixels.
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

#: The operations by name.
OPERATIONS: Mapping[str, Photometric | Geometric | Hiding] = MappingProxyType(
    {
        "AutoContrast": Photometric(photometric.autocontrast),
        "Equalize": Photometric(photometric.equalize),
        "Invert": Photometric(photometric.invert),
        "Rotate": Geometric(geometry.rotation, Scale(0, (3, -3))),
        "Posterize": Photometric(photometric.posterize, Scale(8, (-7 / MAX_MAGNITUDE,))),
        "Solarize": Photometric(photometric.solarize, Scale(256, (-256 / MAX_MAGNITUDE,))),
        "Color": Photometric(photometric.color, _FACTOR, needs_colour=True),
        "Contrast": Photometric(photometric.contrast, _FACTOR),
        "Brightness": Photometric(photometric.brightness, _FACTOR),
        "Sharpness": Photometric(photometric.sharpness, _FACTOR),
        "ShearX": Geometric(geometry.shear_x, _SLOPE),
        "ShearY": Geometric(geometry.shear_y, _SLOPE),
        "TranslateX": Geometric(geometry.translation_x, _FRACTION),
        "TranslateY": Geometric(geometry.translation_y, _FRACTION),
        # The original reaches 4 m pixels to each side of the centre.
        "Cutout": Hiding(cutout_hole, Scale(0, (8 / 300,))),
        # As in the original. From m = 24 all dark values become white.
        "SolarizeAdd": Photometric(photometric.solarize_add, Scale(0, (11,))),
    }
)


def left_out(channels: int) -> tuple[str, ...]:
    """Return the names of the operations that mean nothing for images of so many channels."""
    if channels == 3:
        return ()
    return tuple(
        name
        for name, operation in OPERATIONS.items()
        if isinstance(operation, Photometric) and operation.needs_colour
    )
