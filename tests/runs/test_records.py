import csv
import json

import pytest

from progressive.runs import records
from progressive.runs.records import EpochRecord
from progressive.runs.report import duration, plan_table, stage_table
from progressive.schedule import ProgressiveSchedule

SCHEDULE = ProgressiveSchedule.linear(
    epochs=4, stages=2, image_size=(32, 64), randaugment=(5, 10), dropout=(0, 0.2)
)


def epoch(number, seconds, score=None):
    stage = SCHEDULE.at(number)
    return EpochRecord(
        epoch=number,
        stage=stage.index,
        image_size=stage.image_size,
        knobs=stage.knobs,
        images=100,
        train_seconds=seconds,
        validation_seconds=1.0,
        metrics={"mAP50": score, "mAP50_95": score and score / 2},
    )


EPOCHS = [epoch(0, 10.0), epoch(1, 10.0, 0.25), epoch(2, 40.0, 0.5)]


def test_epochs_are_read_back_as_written(tmp_path):
    records.write_epochs(tmp_path, EPOCHS)
    assert records.read_epochs(tmp_path) == EPOCHS
    assert records.read_epochs(tmp_path / "elsewhere") == []


def test_stages_sum_their_epochs():
    first, second = records.stage_rows(SCHEDULE, EPOCHS)
    assert (first["seconds"], first["images_per_second"]) == (20, 10)
    assert (first["start_epoch"], first["stop_epoch"], first["mAP50"]) == (0, 2, 0.25)
    # The second stage has only begun.
    assert (second["start_epoch"], second["stop_epoch"], second["image_size"]) == (2, 3, 64)
    assert second["images_per_second"] == pytest.approx(2.5)


def test_summary_has_what_scripts_rely_on():
    summary = records.summary(
        SCHEDULE, EPOCHS, metrics={"mAP50": 0.5, "mAP50_95": 0.25}, total_seconds=70.0
    )
    assert summary["metrics"] == {"mAP50": 0.5, "mAP50_95": 0.25}
    assert summary["seconds"] == {"train": 60, "validation": 3, "total": 70}
    assert {"image_size", "start_epoch", "stop_epoch", "seconds", "images_per_second"} <= set(
        summary["stages"][0]
    )


def test_plan_is_json(tmp_path):
    records.write_json(tmp_path / "plan.json", records.plan(SCHEDULE))
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["pixel_cost"] == pytest.approx(0.625)
    assert [stage["image_size"] for stage in plan["stages"]] == [32, 64]
    assert [stage["pixel_cost"] for stage in plan["stages"]] == pytest.approx([0.125, 0.5])
    assert plan["stages"][1]["randaugment_magnitude"] == 10


def test_files_are_replaced_whole(tmp_path):
    records.write_csv(tmp_path / "stages.csv", records.stage_rows(SCHEDULE, EPOCHS))
    records.write_csv(tmp_path / "stages.csv", records.stage_rows(SCHEDULE, EPOCHS[:1]))
    assert [path.name for path in tmp_path.iterdir()] == ["stages.csv"]
    with (tmp_path / "stages.csv").open() as file:
        assert [row["image_size"] for row in csv.DictReader(file)] == ["32"]


def test_plan_table():
    lines = plan_table(SCHEDULE).splitlines()
    assert (
        lines[2].split("|")[1:-1]
        == [
            f"{cell:>{len(head)}}"
            for cell, head in zip(
                ["1/2 ", "1-2 ", "32 ", "5.0 ", "0.00 ", "12.5% "],  # of the knobs, those in use
                lines[0].split("|")[1:-1],
                strict=True,
            )
        ]
    )
    assert lines[-1] == "Pixel cost: 0.62 of training all 4 epochs at 64 px."


def test_stage_table_shows_what_was_not_validated():
    table = stage_table(records.stage_rows(SCHEDULE, [EPOCHS[0]]))
    cells = table.splitlines()[2].replace("|", " ").split()
    assert cells == ["1", "1-1", "32", "10.0", "10.0", "-", "-"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_duration(seconds, words):
    assert duration(seconds) == words
