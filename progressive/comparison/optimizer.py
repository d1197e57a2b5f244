"""What Ultralytics' `optimizer=auto` would choose, so that all arms can be given the same.

It takes one optimizer up to 10,000 steps and another above, so arms of other lengths may silently
differ. Tested with the release named in `pyproject.toml`; a test compares with the real trainer.
"""

from __future__ import annotations

import math
from typing import Any

#: Steps above which it takes MuSGD.
MANY_STEPS = 10_000


def optimizer_steps(images: int, batch: int, nominal_batch: int, epochs: int) -> int:
    """Return the number of optimizer steps as the trainer estimates it."""
    return math.ceil(images / max(batch, nominal_batch)) * epochs


def auto_choice(steps: int, classes: int) -> dict[str, Any]:
    """Return the arguments of the trainer that come to what it chooses by itself.

    Args:
        steps: of the optimizer, in the whole training.
        classes: of the data set.
    """
    if steps > MANY_STEPS:  # its momentum of 0.9 lasts until warm-up sets the argument's
        return {"optimizer": "MuSGD", "lr0": 0.01, "warmup_bias_lr": 0.0}
    rate = round(0.002 * 5 / (4 + classes), 6)
    return {"optimizer": "AdamW", "lr0": rate, "momentum": 0.9, "warmup_bias_lr": 0.0}
