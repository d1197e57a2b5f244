"""Run by test_restarts.py under torchrun: a DDP training of which one process is killed once."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler

from progressive import ProgressiveSchedule
from progressive.hosts.pytorch import ProgressiveBatchSampler, apply_schedule


class Images(Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        side = index.stage.image_size
        return torch.full((3, side, side), float(index))


folder, killed = Path(sys.argv[1]), sys.argv[2:] == ["killed"]
torch.set_num_threads(1)
distributed.init_process_group("gloo")
rank, start = distributed.get_rank(), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
schedule = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(32, 64), dropout=(0, 0.2))
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d(), nn.AdaptiveAvgPool2d(1))
model = DistributedDataParallel(net)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
batches = ProgressiveBatchSampler(BatchSampler(DistributedSampler(Images()), 4, False), schedule)
loader = DataLoader(Images(), batch_sampler=batches)
first, last = 0, folder / "last.pt"
if last.exists():
    kept = torch.load(last, weights_only=True)
    net.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    first = kept["epoch"]
for epoch in range(first, schedule.epochs):
    torch.manual_seed(1000 * epoch + rank)  # no state of random numbers to keep
    apply_schedule(model, schedule, batches.set_epoch(epoch))
    for number, images in enumerate(loader):
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()
        with (folder / f"steps-{rank}.jsonl").open("a") as file:
            file.write(json.dumps([start, epoch, images.shape[-1], net[1].p]) + "\n")
        if killed and start == 0 and rank == 1 and (epoch, number) == (2, 0):
            os.kill(os.getpid(), signal.SIGKILL)
    if rank == 0:
        state = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}
        torch.save(state, folder / "last.tmp")
        (folder / "last.tmp").replace(last)
    distributed.barrier()  # nobody is ahead of the checkpoint by more than an epoch
if rank == 0:
    torch.save(net.state_dict(), folder / "weights.pt")
distributed.destroy_process_group()
