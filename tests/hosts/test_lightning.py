"""Real Lightning runs on a model of a few parameters, under both import names of the package."""

from __future__ import annotations

import csv
import json
import multiprocessing
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, Dataset

from progressive.errors import InputError
from progressive.hosts.lightning import ProgressiveCallback, ProgressiveDataModule
from progressive.schedule import ProgressiveSchedule

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{message}")
    for message in (
        ".isinstance.treespec, LeafSpec.. is deprecated",  # Lightning and torch 2.15
        "This DataLoader will create",  # advice of torch on a machine of one core
        "The '.*_dataloader' does not have many workers",  # advice of Lightning
        "Checkpoint directory .* exists and is not empty",
        "Be aware that when using `ckpt_path`",
        "You're resuming from a checkpoint that ended before the epoch ended",
    )
]

ROOT = Path(__file__).parents[2]

#: Epochs 0-1 at 32 px, 2-3 at 64 px; 3 batches each.
SCHEDULE = ProgressiveSchedule.linear(
    epochs=4,
    stages=2,
    image_size=(32, 64),
    randaugment=(5, 10),
    mixup=(0.0, 0.25),
    dropout=(0.125, 0.5),
)
SIZES = [32] * 6 + [64] * 6
BOTH = pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])


class Images(Dataset):
    """Images of one size: what a stage changes, and nothing else."""

    def __init__(self, size, length=12):
        self.size, self.length = size, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return torch.full((3, self.size, self.size), float(index))


def make_loader(stage):
    return DataLoader(Images(stage.image_size), batch_size=4)


def final_loader():
    return DataLoader(Images(64, length=4), batch_size=4)


def make_model(package="lightning.pytorch", dropout=True):
    """Return a LightningModule that notes what reaches its training and validation steps."""

    class Model(import_module(package).LightningModule):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(3, 4, 3, stride=4),
                nn.Dropout2d(0.0) if dropout else nn.Identity(),
                nn.AdaptiveAvgPool2d(1),
            )
            self.sizes, self.rates, self.validated = [], [], []

        def training_step(self, batch, batch_idx):
            self.sizes.append(batch.shape[-1])
            self.rates.extend(m.p for m in self.modules() if isinstance(m, nn.Dropout2d))
            loss = self.layers(batch).square().mean()
            self.log("loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch, batch_idx):
            self.validated.append(batch.shape[-1])
            self.log("val_loss", self.layers(batch).square().mean())

        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters())
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]

    return Model()


def make_trainer(folder, package="lightning.pytorch", schedule=SCHEDULE, callbacks=(), **options):
    settings = {
        "max_epochs": schedule.epochs,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
    return import_module(package).Trainer(
        default_root_dir=folder,
        callbacks=[ProgressiveCallback(schedule), *callbacks],
        **(settings | options),
    )


@BOTH
def test_every_batch_follows_the_schedule(tmp_path, package):
    model, stages = make_model(package), []

    def make(stage):
        stages.append(stage)
        return make_loader(stage)

    trainer = make_trainer(tmp_path, package)
    trainer.fit(model, datamodule=ProgressiveDataModule(make, final_loader()))
    assert model.sizes == SIZES
    assert model.rates == [0.125] * 6 + [0.5] * 6
    assert model.validated == [64] * 5  # the sanity check and four epochs
    # Each stage is asked for once before training starts.
    assert [(s.randaugment_magnitude, s.mixup) for s in stages] == [(5, 0), (10, 0.25)] * 2


@BOTH
def test_the_callback_is_one_of_the_package(tmp_path, package):
    host = import_module(package)
    callback = ProgressiveCallback(SCHEDULE)
    # Given alone instead of in a list, a callback is recognised by its class.
    trainer = host.Trainer(callbacks=callback, accelerator="cpu", logger=False)
    assert callback in trainer.callbacks
    assert isinstance(ProgressiveDataModule(make_loader), host.LightningDataModule)


def test_persistent_workers_never_hold_an_old_stage(tmp_path):
    children = []

    def make(stage):
        return DataLoader(Images(stage.image_size), 4, num_workers=2, persistent_workers=True)

    class Model(type(make_model())):
        def training_step(self, batch, batch_idx):
            children.append({child.pid for child in multiprocessing.active_children()})
            return super().training_step(batch, batch_idx)

    model = Model()
    make_trainer(tmp_path).fit(model, datamodule=ProgressiveDataModule(make, final_loader()))
    assert model.sizes == SIZES
    assert [len(pids) for pids in children] == [2] * 12
    assert len(set.union(*children)) == 4  # restarted once, at the boundary


def logged(logger):
    return list(csv.DictReader((Path(logger.log_dir) / "metrics.csv").read_text().splitlines()))


def test_optimizer_scheduler_and_logger_go_on(tmp_path):
    logger = CSVLogger(tmp_path)
    trainer = make_trainer(tmp_path, logger=logger)
    trainer.fit(make_model(), datamodule=ProgressiveDataModule(make_loader, final_loader()))
    assert trainer.global_step == 12
    optimizer = trainer.optimizers[0]
    assert {int(state["step"]) for state in optimizer.state.values()} == {12}
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 / 2**4)
    rows = logged(logger)
    assert [int(row["step"]) for row in rows if row["loss_step"]] == list(range(12))
    epochs = [row for row in rows if row["loss_epoch"]]
    assert [int(row["epoch"]) for row in epochs] == [0, 1, 2, 3]
    assert [float(row["progressive/image_size"]) for row in epochs] == [32, 32, 64, 64]
    assert [float(row["progressive/stage"]) for row in epochs] == [0, 0, 1, 1]
    assert [float(row["progressive/mixup"]) for row in epochs] == [0, 0, 0.25, 0.25]
    assert all(0 <= float(row["progressive/share_waiting_for_data"]) <= 1 for row in epochs)
    assert all(float(row["progressive/images_per_second"]) > 0 for row in epochs)
    left = [float(row["progressive/minutes_left"]) for row in epochs]
    assert left[-1] == 0
    assert min(left[:-1]) > 0


def test_the_length_of_an_epoch_may_change(tmp_path):
    """Logging breaks if it does without a reload, Lightning's issue 21773."""
    lengths = []

    def make(stage):
        return DataLoader(Images(stage.image_size), batch_size=4 if stage.index == 0 else 2)

    class Model(type(make_model())):
        def on_train_epoch_end(self):
            lengths.append(self.trainer.num_training_batches)

    logger, model = CSVLogger(tmp_path), Model()
    trainer = make_trainer(tmp_path, logger=logger)
    trainer.fit(model, datamodule=ProgressiveDataModule(make, final_loader()))
    assert model.sizes == [32] * 6 + [64] * 12
    assert lengths == [3, 3, 6, 6]
    assert [int(row["step"]) for row in logged(logger) if row["loss_epoch"]] == [2, 5, 11, 17]


def test_every_checkpoint_resumes_in_its_stage(tmp_path):
    """Written after any batch, epoch or validation, inside a stage or where two meet."""

    def keep(name, **when):
        return ModelCheckpoint(tmp_path / name, filename="{step}", save_top_k=-1, **when)

    kinds = [
        keep("batch", every_n_train_steps=1),
        keep("epoch", save_on_train_epoch_end=True),
        keep("validation", monitor="val_loss", save_on_train_epoch_end=False),
    ]
    trainer = make_trainer(tmp_path, callbacks=kinds, enable_checkpointing=True)
    trainer.fit(make_model(), datamodule=ProgressiveDataModule(make_loader, final_loader()))
    checkpoints = sorted(tmp_path.glob("*/*.ckpt"))
    assert len(checkpoints) == 12 + 4 + 4
    for path in checkpoints:
        done = int(path.stem.removeprefix("step="))
        model, data = make_model(), ProgressiveDataModule(make_loader, final_loader())
        make_trainer(tmp_path).fit(model, datamodule=data, ckpt_path=path)
        assert model.sizes == SIZES[done:], path
        assert model.rates == [0.125 if size == 32 else 0.5 for size in model.sizes], path
        assert set(model.validated) <= {64}


def test_a_lightning_module_may_have_the_loaders(tmp_path):
    class Model(type(make_model())):
        def set_training_stage(self, stage):
            self.stage = stage

        def train_dataloader(self):
            return make_loader(self.stage)

        def val_dataloader(self):
            return final_loader()

    model = Model()
    make_trainer(tmp_path).fit(model)
    assert model.sizes == SIZES


def test_dropout_of_the_model_is_its_own_unless_scheduled(tmp_path):
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))
    model = make_model()
    model.layers[1].p = 0.75
    make_trainer(tmp_path, schedule=schedule).fit(
        model, datamodule=ProgressiveDataModule(make_loader, final_loader())
    )
    assert model.rates == [0.75] * 6


def test_a_run_stopped_at_a_boundary_leaves_the_trainer_as_it_was(tmp_path):
    def stop(trainer, pl_module):
        trainer.should_stop = trainer.current_epoch == 1

    trainer = make_trainer(tmp_path, callbacks=[LambdaCallback(on_train_epoch_end=stop)])
    data, model = ProgressiveDataModule(make_loader, final_loader()), make_model()
    trainer.fit(model, datamodule=data)
    assert (model.sizes, trainer.reload_dataloaders_every_n_epochs) == (SIZES[:6], 0)
    trainer.fit(model, datamodule=data)  # goes on with epoch 2
    assert model.sizes == SIZES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": 5}, "max_epochs=5: the schedule has 4 epochs"),
        ({"max_steps": 7}, "max_steps=7: would end training inside the schedule"),
        ({"reload_dataloaders_every_n_epochs": 2}, "reload_dataloaders_every_n_epochs=2: the call"),
        ({"callbacks": [ProgressiveCallback(SCHEDULE)]}, "more than one ProgressiveCallback"),
    ],
)
def test_settings_that_break_a_schedule_are_refused(tmp_path, options, message):
    trainer = make_trainer(tmp_path, **options)
    for _ in range(2):  # the refusal has not changed the trainer
        with pytest.raises(InputError, match=message):
            trainer.fit(make_model(), datamodule=ProgressiveDataModule(make_loader, final_loader()))


def test_loaders_without_a_stage_are_refused(tmp_path):
    class Fixed(LightningDataModule):
        def train_dataloader(self):
            return final_loader()

        val_dataloader = train_dataloader

    with pytest.raises(InputError, match="Fixed: makes the loaders, but has no set_training_stage"):
        make_trainer(tmp_path).fit(make_model(), datamodule=Fixed())
    with pytest.raises(InputError, match="Model: makes the loaders, but has no set_training_stage"):
        make_trainer(tmp_path).fit(make_model(), final_loader(), final_loader())


@pytest.mark.parametrize("knob", ["dropout", "drop_path"])
def test_a_model_without_the_layers_is_refused(tmp_path, knob):
    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=2, image_size=(32, 64), **{knob: (0.0, 0.1)}
    )
    trainer = make_trainer(tmp_path, schedule=schedule)
    with pytest.raises(InputError, match=rf"{knob}_rate=0\.1: the model has n"):
        trainer.fit(
            make_model(dropout=False), datamodule=ProgressiveDataModule(make_loader, final_loader())
        )


def test_a_debugging_run_is_no_violation(tmp_path):
    model = make_model()
    data = ProgressiveDataModule(make_loader, final_loader())
    make_trainer(tmp_path, fast_dev_run=True).fit(model, datamodule=data)
    assert model.sizes == [32]


def test_the_factory_needs_the_callback(tmp_path):
    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(InputError, match="give the trainer a ProgressiveCallback as well"):
        trainer.fit(make_model(), datamodule=ProgressiveDataModule(make_loader, final_loader()))


def test_what_is_no_schedule_is_refused():
    with pytest.raises(InputError, match="schedule=4: must be a ProgressiveSchedule"):
        ProgressiveCallback(4)


@pytest.mark.slow
def test_all_ranks_switch_at_the_same_step(tmp_path):
    script = Path(__file__).with_name("lightning_ddp.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Stage 2/2 from epoch 1: 64 px") == 1
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    for seen in ranks:
        assert [row[:3] for row in seen] == [
            [0, 32, 0.25],
            [1, 32, 0.25],
            [2, 64, 0.5],
            [3, 64, 0.5],
        ]
    for epoch in (slice(0, 2), slice(2, 4)):  # Lightning divides the reloaded loader as well
        images = [image for seen in ranks for row in seen[epoch] for image in row[3]]
        assert sorted(images) == list(range(8))


@pytest.mark.slow
def test_the_example_feeds_its_backbone_the_size_of_the_stage(tmp_path):
    """torchvision's detectors resize inside the model; here that must not undo the stage."""
    example = runpy.run_path(str(ROOT / "examples" / "lightning_detection.py"))
    schedule = ProgressiveSchedule.linear(epochs=3, stages=3, image_size=(64, 128), mixup=(0, 1))
    model, seen = example["Detector"](schedule.image_size), []
    model.fcos.backbone.register_forward_pre_hook(
        lambda backbone, inputs: seen.append((backbone.training, *inputs[0].shape[2:]))
    )
    data = ProgressiveDataModule(
        lambda stage: example["make_loader"]("train", stage.image_size),
        example["make_loader"]("val", schedule.image_size),
    )
    options = {"limit_train_batches": 1, "limit_val_batches": 1, "num_sanity_val_steps": 0}
    make_trainer(tmp_path, schedule=schedule, **options).fit(model, datamodule=data)
    evaluated = (False, 128, 128)
    assert seen == [
        (True, 64, 64),
        evaluated,
        (True, 96, 96),
        evaluated,
        (True, 128, 128),
        evaluated,
    ]
