"""Progressive learning in a Lightning trainer: torchvision's FCOS on the embedded digits."""

import argparse

import cv2
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader
from torchvision.models import mobilenet_v3_small
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.fcos import FCOS, LastLevelP6P7
from torchvision.ops import box_iou

from progressive import ProgressiveSchedule
from progressive.data.embedded.digits import digits
from progressive.data.samples import YoloSamples
from progressive.hosts.lightning import ProgressiveCallback, ProgressiveDataModule
from progressive.hosts.pytorch import collate_detection, mixup_detection, randaugment_detection


class Scenes(YoloSamples):
    def __init__(self, split, size, magnitude=0):
        super().__init__(digits().parent / "images" / split)
        self.size, self.magnitude = size, magnitude

    def __getitem__(self, index):
        image, boxes, labels = super().__getitem__(index)
        scale = self.size / len(image)  # all scenes are square
        sample = cv2.resize(image, None, fx=scale, fy=scale), boxes * scale, labels
        image, boxes, labels = randaugment_detection(*sample, self.magnitude)
        target = {"boxes": torch.tensor(boxes).float(), "labels": torch.tensor(labels)}
        return torch.tensor(image).permute(2, 0, 1) / 255, target


def make_loader(split, size, magnitude=0):
    options = {"collate_fn": collate_detection, "num_workers": 2, "persistent_workers": True}
    return DataLoader(Scenes(split, size, magnitude), 16, shuffle=split == "train", **options)


class Detector(LightningModule):
    def __init__(self, size):
        super().__init__()
        body, maps = mobilenet_v3_small().features, {"3": "0", "8": "1", "12": "2"}
        pyramid = BackboneWithFPN(body, maps, [24, 48, 576], 64, LastLevelP6P7(64, 64))
        for layer in pyramid.fpn.layer_blocks:  # torchvision's detectors have no dropout to set
            layer.append(torch.nn.Dropout2d())
        # torchvision resizes to a size of its own; with `_skip_resize` in evaluation only.
        self.fcos = FCOS(pyramid, 10, min_size=size, max_size=size, _skip_resize=True)

    def training_step(self, batch, batch_idx):
        stage = self.trainer.datamodule.stage
        loss = sum(self.fcos(*mixup_detection(*batch, stage.mixup)).values())
        self.log("loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=16)
        return loss

    def validation_step(self, batch, batch_idx):
        for found, target in zip(self.fcos(batch[0]), batch[1], strict=True):
            same = target["labels"][:, None] == found["labels"]
            hits = (box_iou(target["boxes"], found["boxes"]) > 0.5) & same
            self.log("recall", hits.any(1).float().mean(), prog_bar=True, batch_size=1)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--sizes", type=int, nargs=2, default=(96, 192), help="first and last")
    parser.add_argument("--resume", help="checkpoint to go on from")
    args = parser.parse_args()
    knobs = {"image_size": tuple(args.sizes), "randaugment": (0, 5), "mixup": (0, 0.2)}
    schedule = ProgressiveSchedule.linear(epochs=args.epochs, stages=3, dropout=(0, 0.1), **knobs)
    data = ProgressiveDataModule(
        lambda stage: make_loader("train", stage.image_size, stage.randaugment_magnitude),
        make_loader("val", schedule.image_size),
    )
    trainer = Trainer(max_epochs=schedule.epochs, callbacks=[ProgressiveCallback(schedule)])
    trainer.fit(Detector(schedule.image_size), datamodule=data, ckpt_path=args.resume)
