import json

import pytest

from progressive.comparison.curves import Point
from progressive.comparison.results import SCORES, read_result
from progressive.errors import InputError
from progressive.runs.comparison_table import LABELS
from progressive.runs.load import PRIMARY
from progressive.runs.report import METRICS


def test_numbers_of_a_run(write_run):
    found = read_result(write_run("run", [0.1, None, 0.4, 0.3]), "detect")
    assert found.last == {"map50_95": 0.3, "map50": 0.6}
    assert found.best == {"map50_95": 0.4, "map50": 0.8}
    assert (found.train_seconds, found.validation_seconds, found.total_seconds) == (36, 4, 45)
    assert (found.images, found.pixels) == (40, 400_000)
    assert found.curve == (Point(10, 0.1, 1), Point(30, 0.4, 3), Point(40, 0.3, 4))


def test_random_sizes_count_with_their_mean(write_run):
    assert read_result(write_run("run", [0.1]), "detect", 1.5).pixels == 150_000


#: What the records of each task hold, as `progressive.run` writes them, and what decides.
RECORDED = {
    "detect": (["mAP50", "mAP50_95"], "map50_95"),
    "obb": (["mAP50", "mAP50_95"], "map50_95"),
    "segment": (["mAP50", "mAP50_95", "mask_mAP50", "mask_mAP50_95"], "mask_map50_95"),
    "pose": (["mAP50", "mAP50_95", "pose_mAP50", "pose_mAP50_95"], "pose_map50_95"),
    "classify": (["accuracy_top1"], "accuracy"),
    "semantic": (["mIoU"], "miou"),
}


@pytest.mark.parametrize("task", RECORDED)
def test_every_task_has_its_scores(tmp_path, task):
    names, deciding = RECORDED[task]
    scores = {name: number / 8 for number, name in enumerate(names, start=1)}
    (tmp_path / "epochs.csv").write_text(
        f"epoch,stage,image_size,images,train_seconds,validation_seconds,{','.join(names)}\n"
        f"0,0,64,10,1.0,0.5,{','.join(map(str, scores.values()))}\n"
    )
    seconds = {"train": 1.0, "validation": 0.5, "total": 2.0}
    summary = {"metrics": scores, "seconds": seconds, "epochs": 1}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    found = read_result(tmp_path, task)
    assert next(iter(found.last)) == deciding
    assert {LABELS[name] for name in found.last} == {METRICS[name] for name in names}
    assert found.last == found.best
    judged_by = next(name for name in PRIMARY if name in names)
    assert found.curve == (Point(1.5, scores[judged_by], 1),)
    assert set(SCORES) == set(RECORDED)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("summary.json", lambda text: None, "is no finished run"),
        ("summary.json", lambda text: text[:20], "cannot be read"),
        ("summary.json", lambda text: "[]", "must be a mapping"),
        ("summary.json", lambda text: '{"epochs": 2}', "lacks scores or seconds"),
        ("summary.json", lambda text: text.replace("25.0", "0.0"), "of no use"),
        ("summary.json", lambda text: text.replace("25.0", "NaN"), "of no use"),
        ("epochs.csv", lambda text: text.replace("0.4,0.2", "0.4,nan"), "cut off or damaged"),
        ("epochs.csv", lambda text: text[:-20], "is cut off or damaged"),
        ("epochs.csv", lambda text: text[: text.rindex("1,0,100")], "has 1 epochs and"),
        ("epochs.csv", lambda text: None, "has 0 epochs and"),
        ("epochs.csv", lambda text: text.replace("0.4,0.2", ","), "the last epoch has no score"),
    ],
)
def test_a_damaged_record_is_one_line(write_run, file, change, message):
    folder = write_run("run", [0.1, 0.2])
    text = change((folder / file).read_text())
    (folder / file).unlink() if text is None else (folder / file).write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_result(folder, "detect")
    assert "\n" not in str(error.value)
    if folder.joinpath("summary.json").exists():
        assert str(error.value).endswith(f"; delete {folder} to repeat the run")
