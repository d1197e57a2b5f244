"""The rest of an epoch has the images that it would have had, on one of several GPUs as well."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch.utils.data import DistributedSampler, RandomSampler
from ultralytics.data.build import InfiniteDataLoader

from progressive.hosts.ultralytics.checkpoints.order import Passes, take_up

DATA = list(range(16))


@pytest.fixture(params=[0, 2], ids=["in the process", "loader processes"])
def make(request):
    """Return what makes a loader as Ultralytics does."""
    loaders = []

    def loader(kind):
        generator = torch.Generator().manual_seed(7)
        sampler = (
            DistributedSampler(DATA, num_replicas=2, rank=1, shuffle=True)
            if kind is DistributedSampler
            else RandomSampler(DATA, generator=generator)
        )
        loaders.append(
            InfiniteDataLoader(
                DATA,
                batch_size=2,
                sampler=sampler,
                num_workers=request.param,
                generator=generator,
                prefetch_factor=2 if request.param else None,
            )
        )
        return loaders[-1]

    yield loader
    for made in loaders:
        del made.iterator


def told(loader, epoch):
    """Tell the sampler the number of the epoch, as Ultralytics does before it asks for batches."""
    if isinstance(loader.sampler, DistributedSampler):
        loader.sampler.set_epoch(epoch)
    return loader


@pytest.mark.parametrize("kind", [RandomSampler, DistributedSampler])
@pytest.mark.parametrize("trained", [0, 1, 3])
def test_an_epoch_goes_on_with_its_own_images(make, kind, trained):
    whole = make(kind)
    Passes(whole)
    expected = [[batch.tolist() for batch in told(whole, epoch)] for epoch in range(4)]

    cut = make(kind)
    passes = Passes(cut)
    for epoch in range(2):
        passes.begin_epoch(cut)
        list(told(cut, epoch))
        passes.end_epoch()
    order = passes.begin_epoch(cut)
    if trained:
        list(islice(told(cut, 2), trained))
        order = passes.order_of_pass()

    resumed = make(kind)
    passes = Passes(resumed)
    passes.draw_from(order, 2)
    take_up(resumed, passes, trained, begun=True)
    rest = list(islice(told(resumed, 2), trained, None))
    assert [batch.tolist() for batch in rest] == expected[2][trained:]
    passes.end_epoch()
    assert [batch.tolist() for batch in told(resumed, 3)] == expected[3]
