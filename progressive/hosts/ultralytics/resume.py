"""Go on with an interrupted training, from tensors and counters alone.

Ultralytics resumes with the arguments, the model and the optimizer's settings that a checkpoint
holds. Here all of them are built anew, as for a new run; the checkpoint fills in the numbers.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils.torch_utils import unwrap_model

from progressive.errors import InputError
from progressive.safe_loading.checkpoints import Checkpoint


def going_on(base: type[BaseTrainer], checkpoint: Checkpoint) -> type[BaseTrainer]:
    """Return a trainer class like `base` that goes on where `checkpoint` was written.

    Args:
        base: of the task; its `train` is given the model and the arguments of a new run.
        checkpoint: whose weights fit that model.
    """

    class GoingOn(base):
        """Continues in the folder it is given; reads no file for that."""

        def check_resume(self, overrides: dict) -> None:  # noqa: ARG002 - the trainer's signature
            """Keep the arguments."""
            self.args.resume = self.resume = True

        def setup_model(self) -> None:
            """Take the weights."""
            super().setup_model()
            unwrap_model(self.model).load_state_dict(dict(checkpoint.weights))

        def resume_training(self, ckpt: dict | None) -> None:  # noqa: ARG002
            """Take the counters and what the optimizer keeps."""
            own = self.optimizer.state_dict()["param_groups"]
            _check_state(self.optimizer, checkpoint)
            average = deepcopy(unwrap_model(self.model))
            super().resume_training(
                {
                    "epoch": checkpoint.epoch,
                    "ema": average,
                    "updates": checkpoint.updates,
                    "optimizer": {"state": dict(checkpoint.optimizer), "param_groups": own},
                    "scaler": dict(checkpoint.scaler) if self.scaler.is_enabled() else None,
                    "best_fitness": checkpoint.best_fitness,
                    "stopper": {
                        name: value
                        for name, value in checkpoint.stopper.items()
                        if name in ("best_fitness", "best_epoch")
                    },
                }
            )

    GoingOn.__name__ = base.__name__
    return GoingOn


def _check_state(optimizer: torch.optim.Optimizer, checkpoint: Checkpoint) -> None:
    """Raise InputError unless the state is that of these parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for number, values in checkpoint.optimizer.items():
        known = 0 <= number < len(parameters)
        for value in values.values() if known else ():
            whole = torch.is_tensor(value) and value.dim() > 0
            known &= not whole or value.shape == parameters[number].shape
        if not known:
            raise InputError(
                f"{checkpoint.path}: is of another optimizer than config.yaml describes, at "
                f"parameter {number}"
            )


def trainer_of(model: Any) -> type[BaseTrainer]:
    """Return the class with which Ultralytics trains `model`."""
    return model.task_map[model.task]["trainer"]
