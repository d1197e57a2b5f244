from __future__ import annotations

import pytest

#: Switches every augmentation of Ultralytics off, so that ours can be seen.
PLAIN = {
    "mosaic": 0.0,
    "hsv_h": 0.0,
    "hsv_s": 0.0,
    "hsv_v": 0.0,
    "translate": 0.0,
    "scale": 0.0,
    "fliplr": 0.0,
}
FAST = {"batch": 4, "device": "cpu", "plots": False, "deterministic": False, "verbose": False}


@pytest.fixture(scope="session")
def plain():
    return dict(PLAIN)


@pytest.fixture(scope="session")
def fast():
    return dict(FAST)


@pytest.fixture(scope="session")
def samples(flat_data):
    """Images with a box each, as the hosts beside Ultralytics take them."""
    from progressive.data.samples import YoloSamples

    return YoloSamples(flat_data.parent / "images" / "train")


@pytest.fixture(scope="session")
def processor():
    """What makes tensors of 64 x 64 px of them for a YOLOS."""
    from transformers import YolosImageProcessor

    size = {"height": 64, "width": 64}
    return YolosImageProcessor(size=size, do_normalize=False, do_convert_annotations=True)


@pytest.fixture(scope="session")
def make_recorder():
    """Return a factory of trainer classes that note what every batch looked like."""
    from torch import nn
    from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator
    from ultralytics.utils.torch_utils import unwrap_model

    class Validator(DetectionValidator):
        shapes: list

        def preprocess(self, batch):
            batch = super().preprocess(batch)
            self.shapes.append(tuple(batch["img"].shape[2:]))
            return batch

    def make(workers=0, fail=None):
        class Recorder(DetectionTrainer):
            batches: list = []  # noqa: RUF012 - one class per test
            validation: list = []  # noqa: RUF012

            def get_dataloader(self, *args, mode="train", **kwargs):
                # On a CPU Ultralytics sets workers to 0, which hides what workers do.
                self.args.workers = workers if mode == "train" else 0
                return super().get_dataloader(*args, mode=mode, **kwargs)

            def preprocess_batch(self, batch):
                if fail is not None:
                    fail(self)
                batch = super().preprocess_batch(batch)
                dataset = self.train_loader.dataset
                mosaic, mixup = dataset.transforms[0][0], dataset.transforms[1]
                model = unwrap_model(self.model)
                self.batches.append(
                    {
                        "epoch": self.epoch,
                        "shape": tuple(batch["img"].shape),
                        "images": batch["img"].clone(),
                        "mosaic": mosaic.p,
                        "mixup": mixup.p,
                        "dropout": [m.p for m in model.modules() if isinstance(m, nn.Dropout2d)],
                        "close_mosaic": self.args.close_mosaic,
                    }
                )
                return batch

            def get_validator(self):
                validator = super().get_validator()
                validator.__class__ = Validator
                validator.shapes = self.validation
                return validator

        return Recorder

    return make
