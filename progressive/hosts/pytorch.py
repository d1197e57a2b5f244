"""Progressive learning in a training loop of your own.

    batches = ProgressiveBatchSampler(BatchSampler(RandomSampler(data), 16, False), schedule)
    loader = DataLoader(data, batch_sampler=batches, num_workers=4, persistent_workers=True)
    for epoch in range(schedule.epochs):
        stage = batches.set_epoch(epoch)
        apply_schedule(model, schedule, stage)
        for images, targets in loader: ...

The data set reads the stage off the index it is given, `index.stage`. A loop has no events to hook
into, so this host is a set of functions; all of them are shared with other hosts.
"""

from progressive.hosts.shared.detection import (
    DETECTION_MIXUP_BETA,
    collate_detection,
    mixup_detection,
    randaugment_detection,
)
from progressive.hosts.shared.rates import apply_schedule
from progressive.hosts.shared.samplers import (
    ProgressiveBatchSampler,
    ProgressiveSampler,
    StagedIndex,
)

__all__ = [
    "DETECTION_MIXUP_BETA",
    "ProgressiveBatchSampler",
    "ProgressiveSampler",
    "StagedIndex",
    "apply_schedule",
    "collate_detection",
    "mixup_detection",
    "randaugment_detection",
]
