"""What would fail at a boundary is refused before training; early stopping waits for the last."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import CombinedLoader
from torch import nn
from torch.utils.data import DataLoader

from progressive.errors import InputError
from progressive.hosts.lightning import ProgressiveCallback, ProgressiveDataModule
from progressive.schedule import ProgressiveSchedule

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{message}")
    for message in (
        ".isinstance.treespec, LeafSpec.. is deprecated",  # Lightning and torch 2.15
        "The '.*_dataloader' does not have many workers",  # advice of Lightning
        "Checkpoint directory .* exists and is not empty",
        "Be aware that when using `ckpt_path`",
    )
]

#: Epochs 0-1 at 32 px, 2-3 at 64 px; 3 batches each.
SCHEDULE = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(32, 64))
SIZES = [32] * 6 + [64] * 6
BOTH = pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])


def loader(size, images=12):
    return DataLoader(torch.zeros(images, 3, size, size), batch_size=4)


def make_loader(stage):
    return loader(stage.image_size)


def final_loader():
    return loader(64, images=4)


def make_model(package="lightning.pytorch"):
    """Return a LightningModule that notes the sizes it is trained on, and never gets better."""

    class Model(import_module(package).LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 1, 3)
            self.sizes = []

        def training_step(self, batch, batch_idx):
            batch = next(iter(batch.values())) if isinstance(batch, dict) else batch
            self.sizes.append(batch.shape[-1])
            return self.layer(batch).mean()

        def validation_step(self, batch, batch_idx):
            self.log("score", torch.tensor(1.0))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.01)

    return Model()


def make_trainer(folder, package="lightning.pytorch", schedule=SCHEDULE, callbacks=(), **options):
    settings = {
        "max_epochs": schedule.epochs,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return import_module(package).Trainer(
        default_root_dir=folder,
        callbacks=[ProgressiveCallback(schedule), *callbacks],
        **(settings | options),
    )


SAME = loader(32)
ONE_EACH = {32: loader(32), 64: loader(64), 96: SAME, 128: SAME}


@pytest.mark.parametrize(
    "make",
    [
        lambda stage: SAME,
        lambda stage: [SAME],
        lambda stage: {"labelled": SAME},
        lambda stage: CombinedLoader({"labelled": SAME}),
        lambda stage: ONE_EACH[stage.image_size],  # wrong in the last stage only
    ],
)
def test_a_loader_that_stays_the_same_is_refused_before_training(tmp_path, make):
    schedule = ProgressiveSchedule.linear(epochs=8, stages=4, image_size=(32, 128))
    trainer, model = make_trainer(tmp_path, schedule=schedule), make_model()
    with pytest.raises(InputError, match="returned the loader of the stage before"):
        trainer.fit(model, datamodule=ProgressiveDataModule(make, SAME))
    assert trainer.reload_dataloaders_every_n_epochs == 0
    assert model.sizes == []


def test_a_loader_that_becomes_the_same_is_refused_at_the_boundary(tmp_path):
    made = []

    def make(stage):
        made.append(make_loader(stage) if len(made) < 3 else made[-1])
        return made[-1]

    trainer, model = make_trainer(tmp_path), make_model()
    with pytest.raises(InputError, match="returned the loader of the stage before"):
        trainer.fit(model, datamodule=ProgressiveDataModule(make, final_loader()))
    assert model.sizes == SIZES[:6]


@BOTH
def test_no_loader_for_a_later_stage_is_found_before_training(tmp_path, package):
    """The error is the user's own, but it comes before the first step."""

    class Model(type(make_model(package))):
        def set_training_stage(self, stage):
            self.stage = stage

        def train_dataloader(self):
            return {32: make_loader}[self.stage.image_size](self.stage)

        def val_dataloader(self):
            return final_loader()

    model = Model()
    with pytest.raises(KeyError, match="64"):
        make_trainer(tmp_path, package).fit(model)
    assert (model.sizes, model.stage.image_size) == ([], 32)


def patient(package, **options):
    return import_module(f"{package}.callbacks").EarlyStopping("score", **options)


@BOTH
@pytest.mark.parametrize(
    ("patience", "options", "epochs"),
    [
        (1, {}, 3),  # the first epoch of the last stage
        (2, {}, 4),
        (0, {}, 3),
        (1, {"val_check_interval": 1 / 3}, 3),  # three times in an epoch
        (9, {}, 4),
    ],
)
def test_early_stopping_waits_for_the_last_stage(tmp_path, package, patience, options, epochs):
    model, stopping = make_model(package), patient(package, patience=patience)
    trainer = make_trainer(tmp_path, package, callbacks=[stopping], **options)
    trainer.fit(model, datamodule=ProgressiveDataModule(make_loader, final_loader()))
    last = 1 if "val_check_interval" in options else 3 * (epochs - 2)
    assert model.sizes == SIZES[: 6 + last]
    assert stopping.wait_count >= 0


def test_early_stopping_waits_in_a_resumed_run_too(tmp_path):
    def run(**more):
        model, stopping = make_model(), patient("lightning.pytorch", patience=2)
        keep = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
        trainer = make_trainer(tmp_path, callbacks=[stopping, keep], enable_checkpointing=True)
        data = ProgressiveDataModule(make_loader, final_loader())
        trainer.fit(model, datamodule=data, **more)
        return model.sizes

    assert run() == SIZES
    for epoch in range(4):
        assert run(ckpt_path=tmp_path / f"epoch={epoch}.ckpt") == SIZES[3 * (epoch + 1) :]


@pytest.mark.parametrize("ours", [True, False])
def test_a_resumed_run_replays_the_first_shuffle_with_and_without_us(tmp_path, ours):
    """Not what one would want, but Lightning's own: docs/hosts/lightning.md says so."""
    images = torch.arange(12.0).reshape(12, 1, 1, 1).expand(12, 3, 8, 8)

    def orders(**more):
        seed_everything(0)
        seen = []

        class Model(type(make_model())):
            def training_step(self, batch, batch_idx):
                seen.extend(batch[:, 0, 0, 0].tolist())
                return super().training_step(batch, batch_idx)

        keep = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
        schedule = ProgressiveSchedule.fixed(epochs=3, image_size=32)
        trainer = make_trainer(
            tmp_path, schedule=schedule, callbacks=[keep], enable_checkpointing=True
        )
        shuffled = ProgressiveDataModule(
            lambda stage: DataLoader(images, 4, shuffle=True), final_loader()
        )
        shuffled.stage = schedule.stages[0]
        if not ours:
            trainer.callbacks = [c for c in trainer.callbacks if type(c) is not ProgressiveCallback]
        trainer.fit(Model(), datamodule=shuffled, **more)
        return [seen[i : i + 12] for i in range(0, len(seen), 12)]

    first, second, _ = orders()
    assert first != second
    assert orders(ckpt_path=tmp_path / "epoch=0.ckpt")[0] == first


def test_a_threshold_stops_in_any_stage(tmp_path):
    model = make_model()
    stopping = patient("lightning.pytorch", stopping_threshold=0.5, mode="max")
    trainer = make_trainer(tmp_path, callbacks=[stopping])
    trainer.fit(model, datamodule=ProgressiveDataModule(make_loader, final_loader()))
    assert model.sizes == SIZES[:3]
