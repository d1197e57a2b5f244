"""Trace the gradient paths of a backbone of the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from progressive.detectors.catalog import backbone_spec
from progressive.errors import InputError

if TYPE_CHECKING:
    from progressive.gradients.paths import GradientPaths

#: Side in pixels of the image that is traced. Paths do not depend on it.
SIDE = 256


def trace_backbone(
    name: str, stop: str | None = None, depth: float = 1, variant: float | str | None = None
) -> GradientPaths:
    """Trace a backbone, without storage for its weights.

    Args:
        name: name in the catalog, or timm:NAME for any timm model with maps at strides 8, 16, 32.
        stop: "identity" or "block" to stop the gradient there, in a gradient-path design.
        depth: fraction of the backbone's blocks, in (0, 1].
        variant: variant of a gradient-path design; see `progressive.detectors.gradient_path`.

    Raises:
        InputError: the backbone is unknown, or it cannot be built or stopped like this.
    """
    try:
        spec = backbone_spec(name)  # finds a misspelt name before torch is loaded

        import torch

        from progressive.detectors.layers import build_on_meta
        from progressive.gradients.trace import trace

        module = build_on_meta(spec.layer(depth=depth, variant=variant))
    except ValueError as error:
        label = "" if str(error).startswith("backbone=") else f"backbone={name}: "
        raise InputError(f"{label}{error}") from error
    return trace(module, torch.zeros(2, 3, SIDE, SIDE, device="meta"), stop)
