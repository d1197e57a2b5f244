"""How far a run is, in words and in fields."""

from __future__ import annotations

from dataclasses import replace

from progressive import ProgressiveSchedule
from progressive.runs.progress import best, epoch_fields, epoch_line
from progressive.runs.records import EpochRecord

SCHEDULE = ProgressiveSchedule.linear(epochs=24, stages=4, image_size=(96, 192))


def record(epoch: int, score: float | None, name: str = "mAP50_95") -> EpochRecord:
    stage = SCHEDULE.at(epoch)
    return EpochRecord(epoch, stage.index, stage.image_size, 40, 8.0, 1.0, metrics={name: score})


DONE = [record(5, 0.412), record(6, 0.4), record(8, None)]


def test_a_line_says_stage_epoch_score_and_time_left():
    line = epoch_line(SCHEDULE, DONE, 200.0)
    assert line == ("Stage 2/4 at 128 px, epoch 9/24, best mAP50-95 0.412, 3 min 20 s left")
    assert len(line) < 80
    assert epoch_line(SCHEDULE, [record(0, None)], None) == "Stage 1/4 at 96 px, epoch 1/24"


def test_a_line_for_a_log_file_has_the_losses():
    line = epoch_line(SCHEDULE, DONE, None, {"box": 1.2345, "cls": 0.5})
    assert "epoch 9/24, loss box 1.23 cls 0.5, best" in line
    assert ", loss 0.5, " in epoch_line(SCHEDULE, DONE, None, {"loss": 0.5})


def test_the_leading_score_is_that_of_the_task():
    assert best(DONE) == ("mAP50_95", 0.412)
    assert best([record(0, 0.9, "accuracy_top1")]) == ("accuracy_top1", 0.9)
    masks = replace(record(0, 0.9), metrics={"mAP50_95": 0.9, "mask_mAP50_95": 0.7})
    assert best([masks]) == ("mask_mAP50_95", 0.7)
    assert best([record(0, None)]) is None


def test_fields_count_as_the_records_do():
    fields = epoch_fields(SCHEDULE, DONE, 12.0, {"box": 1.0})
    known = {"epoch": 8, "epochs": 24, "stage": 1, "stages": 4, "image_size": 128}
    known |= {"images_per_second": 5.0, "seconds_left": 12.0, "losses": {"box": 1.0}}
    assert {name: fields[name] for name in known} == known
