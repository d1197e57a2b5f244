"""Batch normalisation that stays as the backbone's published weights expect it."""

from __future__ import annotations

from torch import nn


class BackboneBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` under another name.

    Whenever Ultralytics builds a model, it sets eps to 1e-3 and momentum to 0.03 in the layers
    whose type is `nn.BatchNorm2d` itself. ResNets were trained with an eps of 1e-5: with 1e-3 their
    features differ from the published ones. Optimizer groups, freezing and conversion to
    synchronised normalisation all go by `isinstance` and treat this class as the other.
    """


def keep_batch_norm(model: nn.Module) -> None:
    """Replace each plain `nn.BatchNorm2d` of a new model, as it is before any training."""
    for name, layer in model.named_children():
        if type(layer) is nn.BatchNorm2d:
            kept = BackboneBatchNorm2d(
                layer.num_features,
                layer.eps,
                layer.momentum,
                layer.affine,
                layer.track_running_stats,
            )
            kept.load_state_dict(layer.state_dict())  # some start from a weight of 0
            setattr(model, name, kept)
        else:
            keep_batch_norm(layer)
