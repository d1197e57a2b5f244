"""Start a training and end with its first batch: `first_batch.py DATA FOLDER stock|progressive`.

The process is timed from outside, so that imports count.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.training import b0, train

from progressive import ProgressiveCallback, ProgressiveSchedule

if __name__ == "__main__":
    data, folder, arm = sys.argv[1:]
    model = b0()
    if arm == "progressive":
        schedule = ProgressiveSchedule.linear(epochs=4, stages=4, image_size=(96, 320))
        ProgressiveCallback(schedule).attach(model)
    model.add_callback("on_train_batch_start", lambda _: os._exit(0))
    train(model, data, Path(folder), steps=16, epochs=4, imgsz=320)
