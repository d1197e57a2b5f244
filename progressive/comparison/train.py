"""Train an arm that `progressive.run` does not.

    python -m progressive.comparison.train stock data=my/data.yaml epochs=30 seed=0 output=FOLDER

- `stock`: plain Ultralytics at full size, with its own defaults but for what the command line says.
  Nothing of ours is attached except a clock. What belongs to an embedded data set stays: a mirrored
  digit is not a digit.
- `multi_scale`: our trainer with one stage at full size; on top of it Ultralytics resizes every
  batch at random to 0.5 to 1.5 of that. Optimizer, epochs and regularisers are those of `fixed`, so
  that only the size differs.

Both write the records of `progressive.run`.
"""

from __future__ import annotations

if __name__ == "__main__":  # before anything slow is imported
    from progressive.signals import Interruption

    Interruption().install()

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from progressive.building import build
from progressive.config.comparing import key_of
from progressive.config.model import Config, to_yaml
from progressive.data import resolve
from progressive.data.embedded.cache import cache_root
from progressive.errors import InputError
from progressive.machine import stay_offline
from progressive.runs.folders import claim
from progressive.schedule import ProgressiveSchedule
from progressive.training import (
    asked_of_trainer,
    check_arguments,
    follow_schedule,
    places,
    trainer_arguments,
    with_absolute_paths,
)

if TYPE_CHECKING:
    from ultralytics.engine.model import Model
    from ultralytics.engine.trainer import BaseTrainer

#: Share of the full size by which a batch may be smaller or larger.
MULTI_SCALE = 0.5


def main(arguments: Sequence[str]) -> None:
    """Run the command line."""
    from progressive.config.command_line import compose_config
    from progressive.config.hydra_errors import fail

    trainer, *overrides = arguments
    try:
        config = stock_settings(compose_config(overrides), overrides, trainer)
        stay_offline(cache_root() / "fonts")
        train(trainer, config)
    except InputError as error:
        fail(error)


def stock_settings(config: Config, overrides: Sequence[str], trainer: str) -> Config:
    """Return the configuration with only those `train.*` that the user has set, for stock."""
    if trainer != "stock":
        return config
    named = {key_of(override).removeprefix("train.") for override in overrides}
    return config.model_copy(
        update={"train": {key: value for key, value in config.train.items() if key in named}}
    )


def stock_schedule(config: Config) -> ProgressiveSchedule:
    """Return the schedule of stock training: one stage, no knob of ours."""
    size = config.size.max
    return ProgressiveSchedule.linear(epochs=config.epochs, stages=1, image_size=(size, size))


def train_arguments(trainer: str, config: Config) -> dict[str, Any]:
    """Return what Ultralytics' `train` is given, without data and folder."""
    if trainer != "stock":
        return trainer_arguments(config)
    return {**asked_of_trainer(config), "epochs": config.epochs, "imgsz": config.size.max}


def check_train_arguments(trainer: str, config: Config) -> None:
    """Let Ultralytics judge the arguments of an arm.

    Raises:
        ConfigError: one is wrong.
    """
    check_arguments(train_arguments(trainer, config))


def train(trainer: str, config: Config) -> None:
    """Train a new detector into the run folder of `config`."""
    from progressive.hosts.ultralytics.safe_files import reading_safely

    arguments = train_arguments(trainer, config)
    check_arguments(arguments)
    dataset = resolve(config.data, config.task)
    config = with_absolute_paths(config)
    model = build(config, dataset)
    with claim(config.output) as folder:
        arguments |= places(folder, dataset)
        if trainer == "multi_scale":
            model.add_callback("on_train_start", _resize_batches)
            follow_schedule(config, model, folder, arguments, {})
        else:
            attach_clock(model, config)
            with reading_safely(model.model):
                model.train(**arguments)


def attach_clock(model: Model, config: Config) -> None:
    """Let `model` keep the records of its next training, and change nothing else."""
    from progressive.hosts.ultralytics.recorder import Recorder

    telling = ExitStack()
    recorder = Recorder(stock_schedule(config), to_yaml(config), track=config.track, log=config.log)
    every_epoch = frozenset(range(config.epochs))  # as Ultralytics does by itself

    def begin(trainer: BaseTrainer) -> None:
        cost = len(trainer.test_loader.dataset) / len(trainer.train_loader.dataset) / 3
        recorder.write_plan(Path(trainer.save_dir), trainer.start_epoch, every_epoch, cost)
        recorder.write_surroundings(trainer)
        recorder.watch_optimizer(trainer)

    events: Mapping[str, Any] = {
        "on_pretrain_routine_start": lambda t: telling.callback(recorder.start_run(t)),
        "on_pretrain_routine_end": begin,
        "on_train_epoch_start": lambda _: recorder.start_epoch(),
        "on_train_batch_start": lambda _: recorder.start_batch(),
        "on_train_batch_end": lambda _: recorder.end_batch(),
        "on_train_epoch_end": lambda _: recorder.end_training(),
        "on_fit_epoch_end": lambda trainer: recorder.end_epoch(trainer, validated=True),
        "on_train_end": recorder.end_run,
        "teardown": lambda _: telling.close(),
    }
    for event, function in events.items():
        model.add_callback(event, function)


def _resize_batches(trainer: BaseTrainer) -> None:
    # After set-up, in which our callback refuses it: a schedule of several stages cannot hold.
    trainer.args.multi_scale = MULTI_SCALE


if __name__ == "__main__":
    main(sys.argv[1:])
