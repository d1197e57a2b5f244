from types import SimpleNamespace

import pytest

from progressive.compare import _auto_choice
from progressive.comparison.optimizer import auto_choice, optimizer_steps
from progressive.config.command_line import compose_config
from progressive.data import resolve


@pytest.mark.parametrize(
    ("images", "batch", "epochs", "steps"),
    [(640, 16, 10, 100), (641, 16, 10, 110), (1280, 128, 10, 100)],
)
def test_steps_are_counted_by_nominal_batches_of_64(images, batch, epochs, steps):
    assert optimizer_steps(images, batch, 64, epochs) == steps


def test_classes_are_counted_as_the_trainer_does():
    dataset = resolve("digits", "detect")
    rates = [
        _auto_choice(compose_config(["machine=cpu", *one_class]), dataset)["lr0"]
        for one_class in ([], ["train.single_cls=true"])
    ]
    assert rates == [0.000714, 0.002]


@pytest.mark.parametrize("steps", [10_000, 10_001])
def test_the_choice_is_the_trainers_own(steps):
    from torch import nn
    from ultralytics.engine.trainer import BaseTrainer

    args = SimpleNamespace(lr0=0.01, optimizer="auto", warmup_bias_lr=0.1)
    trainer = SimpleNamespace(args=args, data={"nc": 10})
    model = nn.Module()
    model.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    made = BaseTrainer.build_optimizer(trainer, model, name="auto", iterations=steps)
    choice = auto_choice(steps, classes=10)
    assert type(made).__name__ == choice["optimizer"]
    assert args.optimizer == choice["optimizer"]
    assert args.lr0 == choice["lr0"]
    assert args.warmup_bias_lr == choice["warmup_bias_lr"]
    if choice["optimizer"] == "AdamW":
        assert made.param_groups[0]["betas"][0] == choice["momentum"]
