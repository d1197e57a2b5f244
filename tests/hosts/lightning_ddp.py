"""A Lightning run in two processes, for test_lightning.py: each writes down what it was fed."""

import json
import sys
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from progressive.hosts.lightning import ProgressiveCallback, ProgressiveDataModule
from progressive.schedule import ProgressiveSchedule


class Images(torch.utils.data.Dataset):
    """Eight images, each filled with its own index."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((3, self.size, self.size), float(index))


class Model(LightningModule):
    """Notes step, size and images of every batch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Dropout2d())
        self.seen = []

    def training_step(self, batch, batch_idx):
        images = batch[:, 0, 0, 0].int().tolist()
        self.seen.append([self.global_step, batch.shape[-1], self.layer[1].p, images])
        return self.layer(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=2, image_size=(32, 64), dropout=(0.25, 0.5)
    )
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[ProgressiveCallback(schedule)],
    )
    model = Model()
    trainer.fit(
        model,
        datamodule=ProgressiveDataModule(
            lambda stage: DataLoader(Images(stage.image_size), batch_size=2)
        ),
    )
    (folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(model.seen))
