"""Run by test_killed.py: trainings of a host, killed and resumed, each in a process of its own.

    python killed.py {lightning,pytorch,transformers} FOLDER STEP...

Trains once to the end, then once for each STEP: killed after so many steps, and resumed with the
framework's own checkpoint. Each start appends to FOLDER/NAME.jsonl what every step was given, and
the end writes FOLDER/NAME.pt, the weights.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

from progressive import ProgressiveSchedule

#: Epochs 0-1 at 32 px, 2-3 at 64 px; 3 steps each.
SCHEDULE = ProgressiveSchedule.linear(
    epochs=4, stages=2, image_size=(32, 64), randaugment=(0, 9), dropout=(0.125, 0.5)
)
IMAGES, BATCH = 12, 4


class Log:
    """What steps were given; kills this process after the one of a number."""

    def __init__(self, path, kill_after):
        self.path, self.kill_after = path, kill_after

    def step(self, number, images, model):
        rates = [m.p for m in model.modules() if isinstance(m, nn.Dropout2d)]
        marks = [round(float(image[0, 0, 0]), 4) for image in images]
        with self.path.open("a") as file:
            row = [number, images.shape[-1], rates, marks]
            file.write(json.dumps(row) + "\n")

    def done(self, steps):
        if steps == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d(0.0), nn.AdaptiveAvgPool2d(1))


class Staged(torch.utils.data.Dataset):
    """Images that show which one they are, at the size of the stage."""

    def __len__(self):
        return IMAGES

    def __getitem__(self, index):
        stage = index.stage
        return (
            torch.full((3, stage.image_size, stage.image_size), float(index))
            + stage.randaugment_magnitude / 100
        )


def lightning(folder, log):
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import Callback, ModelCheckpoint

    from progressive.hosts.lightning import ProgressiveCallback, ProgressiveDataModule

    class Images(torch.utils.data.Dataset):
        def __init__(self, stage):
            self.stage = stage

        def __len__(self):
            return IMAGES

        def __getitem__(self, index):
            size = self.stage.image_size
            return (
                torch.full((3, size, size), float(index)) + self.stage.randaugment_magnitude / 100
            )

    class Model(LightningModule):
        def __init__(self):
            super().__init__()
            self.layers = layers()

        def training_step(self, batch, batch_idx):
            # Lightning keeps no state of random numbers: they hang on the step alone.
            torch.manual_seed(self.global_step)
            log.step(self.global_step, batch, self)
            return self.layers(batch).square().mean()

        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]

    class Killer(Callback):
        """Behind the checkpoint, which Lightning moves to the end of its callbacks."""

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            log.done(trainer.global_step)

    keep = ModelCheckpoint(folder, save_last=True, every_n_train_steps=1)
    trainer = Trainer(
        max_epochs=SCHEDULE.epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ProgressiveCallback(SCHEDULE), Killer(), keep],
    )
    module, last = Model(), folder / "last.ckpt"
    data = ProgressiveDataModule(
        lambda stage: torch.utils.data.DataLoader(Images(stage), batch_size=BATCH)
    )
    trainer.fit(module, datamodule=data, ckpt_path=last if last.exists() else None)
    return module.layers


def pytorch(folder, log):
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler

    from progressive.hosts.pytorch import ProgressiveBatchSampler, apply_schedule

    model, order, last = layers(), torch.Generator(), folder / "last.pt"
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    sampler = BatchSampler(RandomSampler(Staged(), generator=order), BATCH, drop_last=False)
    batches = ProgressiveBatchSampler(sampler, SCHEDULE)
    loader = DataLoader(Staged(), batch_sampler=batches)
    first, done, state = 0, 0, None
    if last.exists():
        found = torch.load(last, weights_only=True)
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
        first, done, state = found["epoch"], found["batch"], found["random"]
    if state is not None and not done:
        torch.set_rng_state(state)
    for epoch in range(first, SCHEDULE.epochs):
        order.manual_seed(epoch)
        apply_schedule(model, SCHEDULE, batches.set_epoch(epoch))
        for batch, images in enumerate(loader):
            step = epoch * len(loader) + batch
            if epoch == first and batch < done:
                torch.set_rng_state(state)  # whatever loading them again has drawn
                continue
            log.step(step, images, model)
            optimizer.zero_grad()
            model(images).square().mean().backward()
            optimizer.step()
            upcoming = divmod(step + 1, len(loader))
            kept = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            kept |= {"epoch": upcoming[0], "batch": upcoming[1], "random": torch.get_rng_state()}
            beside = last.with_suffix(".tmp")
            torch.save(kept, beside)
            beside.replace(last)
            log.done(step + 1)
    return model


def transformers(folder, log):
    from transformers import Trainer, TrainerCallback, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    from progressive.hosts.transformers import ProgressiveCallback

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = layers()

        def forward(self, images):
            log.step(trainer.state.global_step, images, self)
            return {"loss": self.layers(images).square().mean()}

    class Killer(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            log.done(state.global_step)

    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=SCHEDULE.epochs,
        per_device_train_batch_size=BATCH,
        learning_rate=0.01,
        save_strategy="steps",
        save_steps=1,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    trainer = Trainer(
        Model(), arguments, lambda items: {"images": torch.stack(items)}, train_dataset=Staged()
    )
    ProgressiveCallback(SCHEDULE).attach(trainer)
    trainer.add_callback(Killer())
    trainer.train(resume_from_checkpoint=get_last_checkpoint(folder))
    return trainer.model.layers


def start(host, folder, name, kill_after):
    """Train in a process of its own; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        (folder / name).mkdir(exist_ok=True)
        model = host(folder / name, Log(folder / f"{name}.jsonl", kill_after))
        torch.save(model.state_dict(), folder / f"{name}.pt")
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # no threads before the forks
    name, place = sys.argv[1], Path(sys.argv[2])
    if name != "pytorch":
        __import__(f"progressive.hosts.{name}")
    host = globals()[name]
    assert start(host, place, "whole", None) == 0
    for step in map(int, sys.argv[3:]):
        assert start(host, place, str(step), step) == -signal.SIGKILL
        assert start(host, place, str(step), None) == 0
