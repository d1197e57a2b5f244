from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    Subset,
)

from progressive.data.samples import YoloSamples
from progressive.errors import InputError
from progressive.hosts.pytorch import (
    ProgressiveBatchSampler,
    ProgressiveSampler,
    StagedIndex,
    apply_schedule,
    collate_detection,
    mixup_detection,
    randaugment_detection,
)
from progressive.schedule import ProgressiveSchedule

#: Sizes by epoch: 32, 32, 64, 64.
SCHEDULE = ProgressiveSchedule.linear(
    epochs=4, stages=2, image_size=(32, 64), randaugment=(0, 9), mixup=(0, 1), dropout=(0, 0.2)
)

# Two workers on a machine that shows one core: torch advises against it, and we test just that.
few_cores = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


class Report(Dataset):
    """Samples that say which size they were asked for, and which process they come from."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index.stage.image_size, os.getpid()


def batch_sampler(size=10, batch=4):
    return BatchSampler(SequentialSampler(range(size)), batch, drop_last=False)


def test_staged_index_is_an_index_and_survives_pickling():
    stage = SCHEDULE.at(3)
    index = StagedIndex(2, stage)
    assert ["a", "b", "c"][index] == "c"
    first, second = pickle.loads(pickle.dumps([index, StagedIndex(5, stage)]))
    assert (first, second) == (2, 5)
    assert first.stage == stage
    assert first.stage is second.stage  # sent to a worker once for each batch


def test_batches_carry_the_stage_of_their_epoch():
    batches = ProgressiveBatchSampler(batch_sampler(), SCHEDULE)
    assert len(batches) == 3
    for epoch, size in enumerate([32, 32, 64, 64]):
        assert batches.set_epoch(epoch).image_size == size
        found = list(batches)
        assert found == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert {index.stage.image_size for batch in found for index in batch} == {size}


def test_plain_sampler():
    sampler = ProgressiveSampler(SequentialSampler(range(3)), SCHEDULE)
    sampler.set_epoch(2)
    assert [(index, index.stage.index) for index in sampler] == [(0, 1), (1, 1), (2, 1)]


def test_set_epoch_reaches_a_distributed_sampler():
    inner = DistributedSampler(range(8), num_replicas=2, rank=0)
    for sampler in (
        ProgressiveSampler(inner, SCHEDULE),
        ProgressiveBatchSampler(BatchSampler(inner, 2, drop_last=False), SCHEDULE),
    ):
        inner.set_epoch(0)
        sampler.set_epoch(3)
        assert inner.epoch == 3


@few_cores
@pytest.mark.parametrize("workers", [0, 2])
def test_persistent_workers_never_hold_an_old_stage(workers):
    batches = ProgressiveBatchSampler(batch_sampler(), SCHEDULE)
    loader = DataLoader(
        Report(), batch_sampler=batches, num_workers=workers, persistent_workers=workers > 0
    )
    processes = set()
    for epoch, size in enumerate([32, 32, 64, 64]):
        batches.set_epoch(epoch)
        for sizes, pids in loader:
            assert set(sizes.tolist()) == {size}
            processes |= set(pids.tolist())
            if epoch == 1:
                break  # the rest of this epoch is already prefetched
    assert len(processes) == max(workers, 1)  # nothing was restarted


@few_cores
def test_resuming_is_starting_at_a_later_epoch():
    def sizes(first):
        batches = ProgressiveBatchSampler(batch_sampler(), SCHEDULE)
        loader = DataLoader(Report(), batch_sampler=batches)
        seen = []
        for epoch in range(first, SCHEDULE.epochs):
            batches.set_epoch(epoch)
            seen.append([size.unique().item() for size, _ in loader])
        return seen

    assert sizes(3) == sizes(0)[3:] == [[64, 64, 64]]


def test_wrong_use_is_refused():
    batches = ProgressiveBatchSampler(batch_sampler(), SCHEDULE)
    with pytest.raises(InputError, match="call set_epoch"):
        next(iter(batches))
    batches.set_epoch(0)
    list(batches)
    with pytest.raises(InputError, match="call set_epoch"):  # epoch 1 was forgotten
        next(iter(batches))
    with pytest.raises(ValueError, match=r"epoch=4: must be in 0\.\.3"):
        batches.set_epoch(4)
    indices = ProgressiveBatchSampler(SequentialSampler(range(3)), SCHEDULE)
    indices.set_epoch(0)
    with pytest.raises(InputError, match="SequentialSampler yields single indices; wrap it"):
        next(iter(indices))
    with pytest.raises(InputError, match="schedule=4: must be a ProgressiveSchedule"):
        ProgressiveBatchSampler(batch_sampler(), 4)


@few_cores
@pytest.mark.parametrize(
    "kind", [int, np.int64, np.int32, torch.tensor], ids=["int", "int64", "int32", "tensor"]
)
def test_indices_of_every_type(kind):
    class Order(SequentialSampler):
        def __iter__(self):
            return (kind(index) for index in range(5))

    plain = ProgressiveSampler(Order(range(5)), SCHEDULE)
    plain.set_epoch(3)
    assert [(index, index.stage.index) for index in plain] == [(i, 1) for i in range(5)]
    batches = ProgressiveBatchSampler(BatchSampler(Order(range(5)), 2, False), SCHEDULE)
    loader = DataLoader(Report(), batch_sampler=batches)
    batches.set_epoch(0)
    assert [len(sizes) for sizes, _ in loader] == [2, 2, 1]
    for batch in (torch.tensor([3]), np.array([3]), (3,)):
        of_one = ProgressiveBatchSampler([batch], SCHEDULE)
        of_one.set_epoch(0)
        assert list(of_one) == [[3]]
    single = ProgressiveBatchSampler(Order(range(5)), SCHEDULE)
    single.set_epoch(0)
    with pytest.raises(InputError, match="Order yields single indices; wrap it"):
        next(iter(single))


@pytest.mark.parametrize("index", ["a", 2.5, None, (1, 2)])
def test_what_is_no_index_is_refused(index):
    for kind, sampler in ((ProgressiveSampler, [index]), (ProgressiveBatchSampler, [[index]])):
        staged = kind(sampler, SCHEDULE)
        staged.set_epoch(0)
        with pytest.raises(InputError, match=r"list yields .*; must be whole numbers"):
            next(iter(staged))


@few_cores
def test_several_data_sets_in_one_keep_the_stage():
    both = ConcatDataset([Report(), ConcatDataset([Report(), Report()])])
    batches = ProgressiveBatchSampler(BatchSampler(SequentialSampler(both), 7, False), SCHEDULE)
    loader = DataLoader(both, batch_sampler=batches)
    for epoch in (0, 3):
        stage = batches.set_epoch(epoch)
        assert {int(size) for sizes, _ in loader for size in sizes} == {stage.image_size}


@pytest.mark.parametrize(
    "around",
    [
        lambda part: BatchSampler(RandomSampler(part), 2, False),
        lambda part: BatchSampler(DistributedSampler(part, 2, 0), 2, False),
        lambda part: BatchSampler(SequentialSampler(ConcatDataset([Report(), part])), 2, False),
    ],
)
def test_a_subset_around_the_staged_data_set_is_refused_at_once(around):
    with pytest.raises(InputError, match="Subset: looks its index up in a list, which loses the"):
        ProgressiveBatchSampler(around(Subset(Report(), [1, 2, 3])), SCHEDULE)


class Functional(nn.Module):
    """Keeps its rate as a number, as DETR does."""

    def __init__(self):
        super().__init__()
        self.dropout = 0.5
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.3)


def test_apply_schedule_sets_every_kind_of_dropout():
    functional = Functional()
    model = nn.ModuleList([nn.Dropout(0.5), nn.Dropout2d(0.5), functional])
    apply_schedule(model, SCHEDULE, SCHEDULE.at(3))
    assert [model[0].p, model[1].p, functional.dropout] == [0.2, 0.2, 0.2]
    assert functional.attention.dropout == 0.3
    for part in (nn.Dropout(), nn.Dropout2d(), Functional()):
        apply_schedule(part, SCHEDULE, SCHEDULE.at(3))


def test_a_rate_that_the_schedule_does_not_use_stays():
    schedule = ProgressiveSchedule.fixed(epochs=1, image_size=32)
    model = nn.ModuleList([nn.Dropout(0.5), nn.Dropout2d(0.4), Functional()])
    apply_schedule(model, schedule, schedule.at(0))
    assert [model[0].p, model[1].p, model[2].dropout] == [0.5, 0.4, 0.5]


def test_apply_schedule_refuses_rates_without_effect():
    for epoch in (0, 3):  # in the first stage, whose rate is 0, already
        with pytest.raises(InputError, match=r"dropout_rate=0\.2: the model has neither"):
            apply_schedule(nn.ReLU(), SCHEDULE, SCHEDULE.at(epoch))
    schedule = ProgressiveSchedule.fixed(epochs=1, image_size=32, drop_path=0.1)
    with pytest.raises(InputError, match=r"drop_path_rate=0\.1: the model has no stochastic"):
        apply_schedule(nn.ReLU(), schedule, schedule.at(0))


def test_randaugment_moves_boxes_and_draws_from_torch():
    image = np.full((64, 64, 3), 100, np.uint8)
    image[20:40, 20:40] = 200
    boxes, labels = np.array([[20.0, 20, 40, 40], [-5.0, 2, 9, 9]]), np.array([7, 3])
    same = randaugment_detection(image, boxes, labels, 0)
    assert same[0] is image
    assert same[1].tolist() == [[20, 20, 40, 40], [0, 2, 9, 9]]
    assert same[2] is labels

    def run(seed):
        torch.manual_seed(seed)
        return randaugment_detection(image, boxes, labels, 9)

    runs = [run(seed) for seed in range(20)]
    again = run(0)
    assert all(np.array_equal(a, b) for a, b in zip(runs[0], again, strict=True))
    assert len({out[1].tobytes() for out in runs}) > 5
    for out_image, out_boxes, out_labels in runs:
        assert out_image.shape == image.shape
        assert out_boxes.shape == (len(out_labels), 4)
        assert out_boxes.min(initial=0) >= 0
        assert set(out_labels) <= {7, 3}
    empty = randaugment_detection(image, np.zeros((0, 4)), np.zeros(0, int), 9)
    assert [part.shape for part in empty[1:]] == [(0, 4), (0,)]


def test_mixup_blends_images_and_joins_their_objects():
    # Image i is 1 in channel i and 0 elsewhere, so a blend shows which two went into it.
    count = 64
    images = torch.eye(count)[:, :, None, None]
    targets = [
        {"boxes": torch.full((1, 4), float(i)), "labels": torch.tensor([i])} for i in range(count)
    ]
    torch.manual_seed(0)
    for probability, low, high in ((0.0, 0, 0), (0.5, 20, 44), (1.0, 60, 64)):
        mixed, joined = mixup_detection(images, targets, probability)
        blended = 0
        for i, (image, target) in enumerate(zip(mixed, joined, strict=True)):
            parts = image.flatten().nonzero().flatten().tolist()
            assert sorted(target["labels"].tolist()) == parts
            assert sorted(target["boxes"][:, 0].tolist()) == parts
            assert i in parts
            assert image.sum().item() == pytest.approx(1)
            if len(parts) == 2:
                blended += 1
                assert 0.2 < image[i].item() < 0.8
        assert low <= blended <= high
    assert torch.equal(images[:, :, 0, 0], torch.eye(count))


@few_cores
def test_all_four_knobs_act_in_a_loop(flat_data):
    class Flat(YoloSamples):
        def __getitem__(self, index):
            image, boxes, labels = super().__getitem__(index)
            side, magnitude = index.stage.image_size, index.stage.randaugment_magnitude
            image, boxes = image[:side, :side], boxes * side / len(image)
            image, boxes, labels = randaugment_detection(image, boxes, labels, magnitude)
            target = {"boxes": torch.tensor(boxes).float(), "labels": torch.tensor(labels)}
            return torch.tensor(image).permute(2, 0, 1) / 255, target

    data = Flat(flat_data.parent / "images" / "train")
    batches = ProgressiveBatchSampler(batch_sampler(len(data)), SCHEDULE)
    loader = DataLoader(
        data,
        batch_sampler=batches,
        collate_fn=collate_detection,
        num_workers=2,
        persistent_workers=True,
    )
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Dropout2d())
    levels = {image[0, 0, 0] for image, _, _ in YoloSamples(flat_data.parent / "images" / "train")}
    for epoch in range(SCHEDULE.epochs):
        stage = batches.set_epoch(epoch)
        apply_schedule(model, SCHEDULE, stage)
        seen, objects, zeroed = set(), 0, 0
        for images, targets in loader:
            assert images.shape[2:] == (stage.image_size, stage.image_size)
            seen |= set((images * 255).round().unique().int().tolist())
            images, targets = mixup_detection(images, targets, stage.mixup)
            objects += sum(len(target["labels"]) for target in targets)
            zeroed += (model(images).flatten(2).abs().amax(2) == 0).sum().item()
        if stage.index == 0:
            assert (seen, objects, zeroed) == (levels, len(data), 0)
        else:
            assert len(seen) > 2 * len(levels)
            assert objects > 1.2 * len(data)
            assert zeroed > 0


@pytest.mark.slow
def test_all_ranks_switch_at_the_same_step(tmp_path):
    script = Path(__file__).with_name("torchrun_loop.py")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run([*launcher, str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    steps = [(size, rate) for size, rate, _ in first["log"]]
    assert steps == [(size, rate) for size, rate, _ in second["log"]]
    assert steps == [(32, 0.0)] * 3 + [(64, 0.1)] * 3 + [(96, 0.2)] * 6  # 11 samples a rank
    assert first["weights"] == second["weights"]
    epochs = [first["log"][i : i + 3] + second["log"][i : i + 3] for i in (0, 3, 6, 9)]
    for epoch in epochs:
        assert sorted(i for _, _, indices in epoch for i in indices) == list(range(22))
    assert first["log"][6][2] != first["log"][9][2]  # shuffled anew: set_epoch got through
