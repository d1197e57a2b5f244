"""Run by test_pytorch.py under torchrun: a DDP training whose ranks note what each step saw."""

import json
import os
import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler

from progressive import ProgressiveSchedule
from progressive.hosts.pytorch import ProgressiveBatchSampler, apply_schedule


class Noise(Dataset):
    def __len__(self):
        return 22

    def __getitem__(self, index):
        return int(index), torch.rand(3, index.stage.image_size, index.stage.image_size)


distributed.init_process_group("gloo")
schedule = ProgressiveSchedule.linear(
    epochs=4, stages=3, image_size=(32, 96), dropout=(0.0, 0.2), durations=[1, 1, 2]
)
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d(), nn.AdaptiveAvgPool2d(1))
model = DistributedDataParallel(net)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
batches = ProgressiveBatchSampler(BatchSampler(DistributedSampler(Noise()), 4, False), schedule)
loader = DataLoader(Noise(), batch_sampler=batches, num_workers=1, persistent_workers=True)
log = []
for epoch in range(schedule.epochs):
    apply_schedule(model, schedule, batches.set_epoch(epoch))
    for indices, images in loader:
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()
        log.append([images.shape[-1], net[1].p, indices.tolist()])
result = {"log": log, "weights": net[0].weight.flatten().tolist()}
Path(sys.argv[1], f"{os.environ['RANK']}.json").write_text(json.dumps(result))
distributed.destroy_process_group()
