"""What is of another type is one line that names it, in every host."""

import re

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("transformers")

from progressive.errors import InputError
from progressive.hosts import lightning, transformers
from progressive.hosts.pytorch import (
    ProgressiveBatchSampler,
    ProgressiveSampler,
    apply_schedule,
    collate_detection,
    mixup_detection,
    randaugment_detection,
)
from progressive.schedule import ProgressiveSchedule

SCHEDULE = ProgressiveSchedule.fixed(epochs=2, image_size=32, dropout=0.1)
STAGE = SCHEDULE.at(0)
NET = nn.Dropout()
IMAGE = np.zeros((8, 8, 3), np.uint8)
IMAGES = torch.zeros(1, 3, 4, 4)

CALLS = {
    "model=None: must be a Module": lambda: apply_schedule(None, SCHEDULE, STAGE),
    "schedule=None: must be a Prog": lambda: apply_schedule(NET, None, STAGE),
    "stage=0: must be a TrainingStage": lambda: apply_schedule(NET, SCHEDULE, 0),
    "magnitude must be a number from 0 to 30, got '5'": lambda: randaugment_detection(
        IMAGE, [], [], "5"
    ),
    "magnitude must be from 0 to 30, got 31": lambda: randaugment_detection(IMAGE, [], [], 31),
    "targets=None: must be a list of dicts": lambda: mixup_detection(IMAGES, None, 1),
    "targets=3: must be a list of dicts": lambda: mixup_detection(IMAGES, 3, 1),
    "samples=[]: must be one at least": lambda: collate_detection([]),
    "sampler=None: must be one": lambda: ProgressiveBatchSampler(None, SCHEDULE),
    "sampler=3: must be one": lambda: ProgressiveSampler(3, SCHEDULE),
    "trainer=None: must be a Trainer": lambda: transformers.ProgressiveCallback(SCHEDULE).attach(
        None
    ),
    "make_loader=None: must be a function": lambda: lightning.ProgressiveDataModule(None),
}


@pytest.mark.parametrize("said", CALLS)
def test_another_type_is_one_line(said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}") as error:
        CALLS[said]()
    assert "\n" not in str(error.value)


def test_a_function_that_makes_no_loader_is_named():
    data = lightning.ProgressiveDataModule(lambda stage: None)
    data.set_training_stage(STAGE)
    with pytest.raises(InputError, match=r"^make_loader: returned None"):
        data.train_dataloader()
