"""What is read back, and what a damaged record is answered with."""

from __future__ import annotations

import json

import pytest

from progressive.errors import InputError
from progressive.runs.html import write_report
from progressive.runs.load import find_runs, flat, load_run


def test_a_run_is_read(make_run, tmp_path):
    run = load_run(make_run(tmp_path / "run", stages=3))
    assert [stage.image_size for stage in run.schedule.stages] == [64, 96, 128]
    assert len(run.epochs) == 12
    assert run.epochs[0].data_seconds == pytest.approx(0.25)
    assert run.primary == "mAP50_95"
    assert run.config["size.max"] == 128
    # 4 epochs of 2.5 s, 4 of 5.625 s and 4 of 10 s; 12 validations of 1 s; 9 s around them.
    assert run.seconds == pytest.approx(10 + 22.5 + 40 + 12 + 9)
    trained, seconds, values = run.curve("mAP50")
    assert trained == [2, 4, 6, 8, 10, 12]
    assert seconds[:2] == pytest.approx([7, 14])
    assert values[-1] == run.metrics["mAP50"]
    assert [path.name for path in run.pictures("found")] == [f"found-{n}.jpg" for n in (1, 2, 3)]


def test_a_picture_that_is_a_link_out_of_the_folder_is_left_out(make_run, tmp_path):
    run = load_run(make_run(tmp_path / "run", stages=3))
    second = run.pictures("found")[1]
    second.rename(tmp_path / "private.jpg")
    second.symlink_to(tmp_path / "private.jpg")
    assert [path.name for path in run.pictures("found")] == ["found-1.jpg", "found-3.jpg"]


def test_a_run_not_finished_is_read(make_run, tmp_path):
    run = load_run(make_run(tmp_path / "run", finished=False))
    assert run.summary is None
    assert len(run.epochs) == 7
    assert run.score == run.epochs[5].metrics["mAP50_95"]  # the seventh was not validated
    assert write_report(tmp_path / "run").is_file()


def test_records_of_an_earlier_version_are_read(make_run, tmp_path):
    folder = make_run(tmp_path / "run", pictures=False)
    for name in ("environment.json", "data.json", "config.yaml"):
        (folder / name).unlink()
    lines = [line.split(",") for line in (folder / "epochs.csv").read_text().splitlines()]
    kept = [place for place, name in enumerate(lines[0]) if name not in
            {"data_seconds", "compute_seconds", "optimizer_seconds", "mixup"}]  # fmt: skip
    text = "\n".join(",".join(line[place] for place in kept) for line in lines)
    (folder / "epochs.csv").write_text(f"{text}\n")
    run = load_run(folder)
    assert run.epochs[0].data_seconds is None
    assert run.epochs[0].knobs["mixup"] is None
    assert "were not recorded" in write_report(folder).read_text()


def test_runs_are_found_below_a_folder(make_run, tmp_path):
    folders = [make_run(tmp_path / name, pictures=False) for name in ("b/0", "b/1", "a")]
    assert find_runs(tmp_path) == [folders[2], folders[0], folders[1]]
    assert find_runs(folders[0]) == folders[:1]
    (tmp_path / "empty").mkdir()
    assert find_runs(tmp_path / "empty") == []


def damage(name, change):
    return lambda folder: (folder / name).write_text(change((folder / name).read_text()))


def remove(name):
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (remove("plan.json"), "has no plan.json"),
        (damage("plan.json", lambda t: t[:100]), "plan.json: is no complete JSON"),
        (damage("plan.json", lambda t: "[]"), "plan.json: is no JSON object"),
        (damage("plan.json", lambda t: "{}"), "plan.json: is no plan"),
        (damage("plan.json", lambda t: t.replace(": 64,", ": 640,")), "plan.json: is no plan"),
        (damage("summary.json", lambda t: t[:-20]), "summary.json: is no complete JSON"),
        (damage("summary.json", lambda t: '{"metrics": {}}'), "summary.json: is no summary"),
        (damage("epochs.csv", lambda t: t[:-7]), "epochs.csv: is cut off in line 13"),
        (damage("epochs.csv", lambda t: t[: t.rfind(",")] + "\n"), "line 13 has not as many"),
        (damage("epochs.csv", lambda t: "a,b\n1,2\n"), "epochs.csv: is no record of epochs"),
        (damage("epochs.csv", lambda t: t.replace("0.", "x", 1)), "epochs.csv: is no record"),
        (damage("config.yaml", lambda t: "a: [1"), "config.yaml: "),
        (damage("config.yaml", lambda t: "- a"), "config.yaml: is no list of settings"),
        (damage("environment.json", lambda t: t[:30]), "environment.json: is no complete JSON"),
        (damage("data.json", lambda t: '{"train": []}'), "data.json: is no record of data"),
        (damage("data.json", lambda t: t[:30]), "data.json: is no complete JSON"),
    ],
)
def test_damage_is_answered_in_one_line_and_nothing_is_written(make_run, tmp_path, harm, message):
    folder = make_run(tmp_path / "run", pictures=False)
    harm(folder)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(InputError, match=message) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        ({}, "names no arms"),
        ({"arms": {"a": {"runs": []}}}, "arm a names no runs"),
        ({"arms": {"a": {"runs": ["missing"]}}}, "missing: no such folder"),
        ({"arms": {"a": {"runs": ["run"], "difference": [1]}}}, "is no JSON object"),
        ({"arms": {"a": {"runs": ["run"], "difference": {"values": 1}}}}, "that are no numbers"),
        (
            {"arms": {"a": {"runs": ["run"], "difference": {"values": ["x"]}}}},
            "values that are no numbers",
        ),
    ],
)
def test_a_damaged_comparison_is_answered_in_one_line(make_run, tmp_path, compare, message):
    make_run(tmp_path / "run", pictures=False)
    (tmp_path / "compare.json").write_text(json.dumps(compare))
    with pytest.raises(InputError, match=message):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_settings_are_flattened():
    assert flat({"a": {"b": 1, "c": {}}, "d": [2]}) == {"a.b": 1, "d": [2]}
