"""Which schedule of `conf/schedule` a command line is for that names none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException


def fitting_schedule(overrides: Sequence[str]) -> str:
    """Return finetune where training starts from weights, and fast where it starts from none.

    Args:
        overrides: those of the command line. Where weights are swept, the schedule is fast.
    """
    given = {raw.lstrip("+").partition("=")[0]: raw for raw in overrides if not raw.startswith("~")}
    model = _value(given.get("model"))
    starts = (
        isinstance(model, str) and model.endswith(".pt"),
        _value(given.get("backbone.pretrained")) is True,
        isinstance(_value(given.get("backbone.weights")), str),
    )
    return "finetune" if any(starts) else "fast"


def _value(override: str | None) -> Any:
    try:
        return OverridesParser.create().parse_override(override).value() if override else None
    except HydraException:
        return None  # Hydra complains when it composes
