"""The data sets that need no download, and what suits them. Nothing is generated on import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Embedded:
    """A data set that is generated on first use."""

    task: str
    """'detect' or 'classify'."""
    make: Callable[[], Path]
    """Return where it is, generating it if needed: a data yaml, or for classify a folder."""
    train_arguments: Mapping[str, object]
    """Ultralytics arguments that suit it better than the defaults."""


def _digits() -> Path:
    from progressive.data.embedded.digits import digits

    return digits()


def _blur() -> Path:
    from progressive.data.embedded.blur import blur

    return blur()


EMBEDDED: Mapping[str, Embedded] = MappingProxyType(
    {
        "digits": Embedded(
            "detect",
            _digits,
            {"fliplr": 0.0},  # a mirrored digit is no digit
        ),
        "blur": Embedded(
            "classify",
            _blur,
            # A random crop is enlarged to the image size, which blurs it; an erased rectangle puts
            # sharp edges into a blurred patch. Blur itself knows no up or down.
            {"scale": 0.0, "erasing": 0.0, "flipud": 0.5},
        ),
    }
)


def embedded_names(task: str) -> tuple[str, ...]:
    """Return the names of the embedded data sets for a task."""
    return tuple(name for name, data in EMBEDDED.items() if data.task == task)
