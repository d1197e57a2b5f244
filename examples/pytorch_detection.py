"""A plain training loop with progressive learning: torchvision's FCOS on the embedded digits."""

import argparse

import cv2
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler
from torchvision.models import mobilenet_v3_small
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.fcos import FCOS, LastLevelP6P7

from progressive import ProgressiveSchedule
from progressive.data.embedded.digits import digits
from progressive.data.samples import YoloSamples
from progressive.hosts import pytorch as host


class Digits(YoloSamples):
    """A data set as any other, but for what it reads off the index: the stage."""

    def __getitem__(self, index):
        image, boxes, labels = super().__getitem__(index)
        stage = index.stage
        scale = stage.image_size / len(image)  # all scenes are square
        sample = cv2.resize(image, None, fx=scale, fy=scale), boxes * scale, labels
        image, boxes, labels = host.randaugment_detection(*sample, stage.randaugment_magnitude)
        target = {"boxes": torch.tensor(boxes).float(), "labels": torch.tensor(labels)}
        return torch.tensor(image).permute(2, 0, 1) / 255, target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--sizes", type=int, nargs=2, default=(96, 192), help="first and last")
    args = parser.parse_args()
    knobs = {"image_size": tuple(args.sizes), "randaugment": (0, 5), "mixup": (0, 0.2)}
    schedule = ProgressiveSchedule.linear(epochs=args.epochs, stages=3, dropout=(0, 0.1), **knobs)

    body, maps = mobilenet_v3_small().features, {"3": "0", "8": "1", "12": "2"}
    pyramid = BackboneWithFPN(body, maps, [24, 48, 576], 64, LastLevelP6P7(64, 64))
    for layer in pyramid.fpn.layer_blocks:  # torchvision's detectors have no dropout to set
        layer.append(torch.nn.Dropout2d())
    size = schedule.image_size  # torchvision resizes to it; with `_skip_resize` in evaluation only
    model = FCOS(pyramid, num_classes=10, min_size=size, max_size=size, _skip_resize=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    data = Digits(digits().parent / "images" / "train")
    batches = host.ProgressiveBatchSampler(BatchSampler(RandomSampler(data), 16, False), schedule)
    workers = {"num_workers": 2, "persistent_workers": True}
    loader = DataLoader(data, batch_sampler=batches, collate_fn=host.collate_detection, **workers)
    for epoch in range(schedule.epochs):
        stage = batches.set_epoch(epoch)
        host.apply_schedule(model, schedule, stage)
        for images, targets in loader:
            loss = sum(model(*host.mixup_detection(images, targets, stage.mixup)).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: {stage.image_size} px, loss {loss.item():.3f}", flush=True)
