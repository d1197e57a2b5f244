"""Batch normalisation whose settings stay as the published weights of a backbone expect them."""

from __future__ import annotations

from torch import nn


class BackboneBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` under another name.

    When Ultralytics builds a model, it sets eps to 1e-3 and momentum to 0.03 in all layers whose
    type is exactly `nn.BatchNorm2d`. ResNets were trained with an eps of 1e-5; with 1e-3 their
    features differ from the published ones. Optimizer groups, freezing and the conversion to
    synchronised normalisation use `isinstance`, so for them this class is a normal BatchNorm.
    """


def keep_batch_norm(model: nn.Module) -> None:
    """Replace each `nn.BatchNorm2d` of a model that has not been trained yet."""
    for name, layer in model.named_children():
        if type(layer) is nn.BatchNorm2d:
            kept = BackboneBatchNorm2d(
                layer.num_features,
                layer.eps,
                layer.momentum,
                layer.affine,
                layer.track_running_stats,
            )
            kept.load_state_dict(layer.state_dict())  # in some layers the initial weight is 0
            setattr(model, name, kept)
        else:
            keep_batch_norm(layer)
