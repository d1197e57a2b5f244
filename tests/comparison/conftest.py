"""Hand-made run folders."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def write_run(tmp_path):
    """Return what writes the records of a run with a score for each epoch, None for no score."""

    def write(name, scores, *, size=100, images=10, seconds=9.0, validation=1.0):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        rows = ["epoch,stage,image_size,images,train_seconds,validation_seconds,mAP50,mAP50_95"]
        for epoch, score in enumerate(scores):
            shown = "," if score is None else f"{2 * score},{score}"
            rows.append(f"{epoch},0,{size},{images},{seconds},{validation},{shown}")
        (folder / "epochs.csv").write_text("\n".join(rows) + "\n")
        best = max(score for score in scores if score is not None)
        times = {"train": seconds * len(scores), "validation": validation * len(scores)}
        summary = {
            "metrics": {"mAP50": 2 * best, "mAP50_95": best},
            "seconds": {**times, "total": (seconds + validation) * len(scores) + 5},
            "epochs": len(scores),
        }
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return write
