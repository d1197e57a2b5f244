"""Which of the two machines in `conf/machine` a command line is for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

MACHINES = ("cpu", "gpu")


def fitting_machine(overrides: Sequence[str], choices: Mapping[Any, Any]) -> str:
    """Return cpu or gpu: as was chosen, as the device says, or by whether there is a GPU here.

    Args:
        overrides: those of the command line; `device` may be among them, and if it is swept, a
            GPU is.
        choices: the options of config groups, as far as they are known.
    """
    if (chosen := choices.get("machine")) in MACHINES:
        return str(chosen)
    given = [raw for raw in overrides if raw.lstrip("+").startswith("device=")]
    try:
        device = OverridesParser.create().parse_override(given[-1]).value() if given else None
    except HydraException:
        device = None  # Hydra complains when it composes
    gpu = has_gpu() if device is None else str(device) != "cpu"
    return "gpu" if gpu else "cpu"


def has_gpu() -> bool:
    """Tell whether an NVIDIA or AMD GPU is present and not hidden, without loading torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
    return not hidden and (any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists())
