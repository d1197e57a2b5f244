"""A stock Ultralytics model trained progressively on the embedded digits."""

import argparse

from ultralytics import YOLO

from progressive import ProgressiveCallback, ProgressiveSchedule
from progressive.data import resolve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--sizes", type=int, nargs=2, default=(96, 192), help="first and last")
    args = parser.parse_args()

    schedule = ProgressiveSchedule.linear(
        epochs=args.epochs,
        stages=3,
        image_size=tuple(args.sizes),
        randaugment=(0, 5),
        mixup=(0, 0.2),
        dropout=(0, 0.1),
    )
    model = YOLO("yolo11n.yaml")  # or any other: a stock .pt, -seg, -pose, -obb, one of our own
    callback = ProgressiveCallback(schedule).attach(model)
    data = resolve("digits", "detect").source  # or the path of your own data.yaml
    model.train(data=str(data), batch=16, optimizer="AdamW", lr0=0.003, nbs=16, mosaic=0.0)
    print(f"mAP50 {model.trainer.metrics['metrics/mAP50(B)']:.3f}")
    callback.detach(model)
