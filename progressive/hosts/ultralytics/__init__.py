"""Progressive learning in an Ultralytics trainer; `callback` is where to start reading.

The name loads on first use, so that `refusals` can be asked without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from progressive.hosts.ultralytics.callback import ProgressiveCallback

__all__ = ["ProgressiveCallback"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from progressive.hosts.ultralytics import callback

    return getattr(callback, name)
