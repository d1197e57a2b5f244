"""The data sets that need no download. Nothing is generated on import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from progressive.data.embedded import blur, digits
from progressive.data.embedded.specs import BlurSpec, DigitsSpec


@dataclass(frozen=True)
class Embedded:
    """A data set that is generated on first use.

    Attributes:
        task: 'detect' or 'classify'.
        make: generates the data set if needed and returns its path: the data yaml, or for classify
            the folder.
        train_arguments: Ultralytics arguments that suit the data set better than the defaults.
        train_images: number of training images.
        classes: number of them.
    """

    task: str
    make: Callable[[], Path]
    train_arguments: Mapping[str, object]
    train_images: int
    classes: int


#: The embedded data sets by name.
EMBEDDED: Mapping[str, Embedded] = MappingProxyType(
    {
        "digits": Embedded(
            "detect",
            digits.digits,
            {"fliplr": 0.0},  # a mirrored digit is not a digit
            DigitsSpec().train_scenes,
            10,
        ),
        "blur": Embedded(
            "classify",
            blur.blur,
            # Ultralytics enlarges a random crop to the image size, which blurs it, and erases a
            # rectangle, which adds sharp edges to a blurred patch. Both would change the class. A
            # vertical flip does not.
            {"scale": 0.0, "erasing": 0.0, "flipud": 0.5},
            2 * BlurSpec().train_pairs,  # one of each class
            2,
        ),
    }
)


def embedded_names(task: str) -> tuple[str, ...]:
    """Return the names of the embedded data sets for a task."""
    return tuple(name for name, data in EMBEDDED.items() if data.task == task)
