"""Which schedule of `conf/schedule` a command line is for that names none."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException


def fitting_schedule(overrides: Sequence[str]) -> str:
    """Return finetune where training starts from weights, and fast where it starts from none.

    Args:
        overrides: those of the command line. A sweep has one schedule for all of its jobs: finetune
            if all of them start from weights.
    """
    given = {raw.lstrip("+").partition("=")[0]: raw for raw in overrides if not raw.startswith("~")}
    starts = {
        "model": lambda text: text.endswith(".pt"),
        "backbone.pretrained": lambda text: text.lower() == "true",
        "backbone.weights": lambda text: text.lower() != "null",
    }
    found = [all(map(test, _values(given[key]))) for key, test in starts.items() if key in given]
    return "finetune" if any(found) else "fast"


def _values(override: str) -> list[str]:
    """Return the value, or those that are swept, as texts."""
    try:
        parsed = OverridesParser.create().parse_override(override)
        swept = parsed.is_sweep_override()
        values = parsed.sweep_string_iterator() if swept else [parsed.get_value_element_as_str()]
        return [str(value).strip("'\"") for value in values]
    except HydraException:
        return ["null"]  # Hydra complains when it composes
