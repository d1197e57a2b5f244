"""Set the rates of a stage in a model that brings its own layers."""

from __future__ import annotations

from typing import Any

from torch import nn

from progressive.errors import InputError
from progressive.hosts.shared.samples import must_be
from progressive.regularize import set_channel_dropout, set_drop_path, set_dropout
from progressive.schedule import ProgressiveSchedule, TrainingStage


def apply_schedule(model: nn.Module, schedule: ProgressiveSchedule, stage: TrainingStage) -> None:
    """Set dropout of every kind and stochastic depth of a model to the rates of a stage.

    A rate that the schedule does not use is left as the model has it.

    Args:
        model: any module tree, wrapped for multi-GPU or not; pass a part, such as the head, to
            leave the rest as it was built.
        schedule: says which rates are used.
        stage: whose rates to set, from the next forward pass in training mode.

    Raises:
        InputError: the schedule uses a rate, be it in a later stage, and the model has no layer to
            set it in; or one of the three is of another type.
    """
    must_be("model", model, nn.Module)
    must_be("schedule", schedule, ProgressiveSchedule)
    must_be("stage", stage, TrainingStage)
    if schedule.uses("dropout_rate"):
        highest = max(stage.dropout_rate for stage in schedule.stages)
        _set_dropout(model, stage.dropout_rate, highest)
    if schedule.uses("drop_path_rate"):
        highest = max(stage.drop_path_rate for stage in schedule.stages)
        _set_drop_path(model, stage.drop_path_rate, highest)


def _set_dropout(model: nn.Module, rate: float, highest: float) -> None:
    found = set_channel_dropout(model, rate) + set_dropout(model, rate)
    found += _set_functional_dropout(model, rate)
    if not found:
        raise InputError(
            f"dropout_rate={highest:g}: the model has neither nn.Dropout nor nn.Dropout2d; insert "
            "one or leave dropout at 0 in the schedule"
        )


def _set_drop_path(model: nn.Module, rate: float, highest: float) -> None:
    if not set_drop_path(model, rate):
        raise InputError(
            f"drop_path_rate={highest:g}: the model has no stochastic depth that can be set; build "
            "it in and leave drop_path at 0 in the schedule"
        )


def _set_functional_dropout(model: nn.Module, rate: float) -> int:
    """Set the number `dropout` that modules without a dropout layer hand to `F.dropout`.

    DETR and its relatives in transformers are built so. PyTorch's own modules are left alone: in
    `nn.MultiheadAttention` the name means the dropout of attention weights. So are Lightning's,
    where it is a setting of the user's.
    """
    modules: list[Any] = [
        module
        for module in model.modules()
        if not type(module).__module__.startswith("torch.") and not hasattr(module, "training_step")
    ]
    found = [m for m in modules if type(getattr(m, "dropout", None)) in (float, int)]
    for module in found:
        module.dropout = float(rate)
    return len(found)
