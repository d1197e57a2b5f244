import json

import pytest

from progressive.comparison.curves import Point
from progressive.comparison.results import read_result
from progressive.errors import InputError


def test_numbers_of_a_run(write_run):
    found = read_result(write_run("run", [0.1, None, 0.4, 0.3]), "detect")
    assert found.last == {"map50_95": 0.3, "map50": 0.6}
    assert found.best == {"map50_95": 0.4, "map50": 0.8}
    assert (found.train_seconds, found.validation_seconds, found.total_seconds) == (36, 4, 45)
    assert (found.images, found.pixels) == (40, 400_000)
    assert found.curve == (Point(10, 0.1, 1), Point(30, 0.4, 3), Point(40, 0.3, 4))


def test_random_sizes_count_with_their_mean(write_run):
    assert read_result(write_run("run", [0.1]), "detect", 1.5).pixels == 150_000


def test_a_classifier_has_an_accuracy(tmp_path):
    (tmp_path / "epochs.csv").write_text(
        "epoch,stage,image_size,images,train_seconds,validation_seconds,accuracy_top1\n"
        "0,0,64,10,1.0,0.5,0.75\n"
    )
    seconds = {"train": 1.0, "validation": 0.5, "total": 2.0}
    summary = {"metrics": {"accuracy_top1": 0.75}, "seconds": seconds, "epochs": 1}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert read_result(tmp_path, "classify").last == {"accuracy": 0.75}


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
