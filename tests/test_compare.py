"""The comparison from its command line: what is refused, what is pinned, and a real one."""

import json
import subprocess
import sys

import pytest
from survival.data import write_boxes

from progressive.compare import compare
from progressive.errors import InputError

#: A detector and sizes that train in seconds.
SMALL = (
    *("device=cpu", "head=yolov8n", "backbone=efficientnetv2_b0"),
    *("backbone.width=0.25", "backbone.depth=0.25", "epochs=2", "train_faster=false"),
    *("stages=2", "size.min=32", "size.max=64", "batch=4", "train.plots=false"),
)


def planned(capsys, *arguments):
    assert compare([*SMALL, *arguments, "dry_run=true"]) is None
    return capsys.readouterr().out.splitlines()


def test_a_dry_run_says_what_each_arm_is(tiny_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = planned(capsys, f"data={tiny_data}", "seeds=[0,5]", "+arm.mine=[train.lr0=0.1]")
    assert lines[0] == "8 runs: 4 arms, seeds 0, 5"
    one_size = "stages=1 durations=null sizes=null size.min=32 size.max=64"
    assert lines[1] == f"  stock: {one_size} (trainer stock)"
    assert lines[3:5] == ["  progressive: as configured", "  mine: train.lr0=0.1"]
    # 0.002 * 5 / (4 + 1 class), as Ultralytics fits it.
    assert lines[5] == ("stock is left to optimizer=auto, which will take AdamW with lr0=0.002.")
    assert not any(tmp_path.iterdir())


def test_an_automatic_optimizer_is_pinned_for_all_of_ours(tiny_data, capsys):
    # 12 images are one nominal batch of 64: an epoch is a step, so 10,001 epochs are too many for
    # AdamW, and the arm that is shorter gets what the longest one gets. 6,667 epochs at a quarter
    # of the pixels and 3,334 at full size cost as much as 5,001 at full size.
    lines = planned(
        capsys,
        *(f"data={tiny_data}", "train.optimizer=auto", "train.nbs=64", "epochs=10001"),
        *("arms=[fixed,fixed_short,stock]", "seeds=[0]"),
    )
    pinned = "train.optimizer=MuSGD train.lr0=0.01 train.warmup_bias_lr=0.0"
    assert lines[2].startswith("  fixed_short: stages=1 durations=null sizes=null ")
    assert " epochs=5001 " in lines[2]
    assert all(line.endswith(pinned) for line in lines[1:3])
    assert lines[4].endswith(f"{pinned} for fixed, fixed_short.")
    assert "stock is left to optimizer=auto, which will take MuSGD" in lines[5]


@pytest.mark.parametrize(("fraction", "optimizer"), [("1.0", "MuSGD"), ("0.5", "AdamW")])
def test_the_steps_are_those_of_the_images_that_are_used(tiny_data, capsys, fraction, optimizer):
    # 12 images are two nominal batches of 6, and half of them are one: 6,000 epochs are 12,000
    # steps or 6,000, and MuSGD begins above 10,000.
    lines = planned(
        capsys,
        *(f"data={tiny_data}", "train.optimizer=auto", "train.nbs=6", "epochs=6000"),
        *("arms=[fixed,stock]", "seeds=[0]", f"train.fraction={fraction}"),
    )
    assert f"train.optimizer={optimizer} " in lines[3]
    assert f"which will take {optimizer} with" in lines[4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["arms=[fixed,progressive]", "stages=1"], "arms: fixed and progressive are the same"),
        (["+arm.a=[batch=8]"], "arm a: train.nbs would be 8 in it and 4 in the others"),
        (["+arm.a=[size.min=96]"], "arm a: size.min=96: "),
        (["+arm.a=[head=yolov9000]"], "arm a: head=yolov9000: "),
        (["train.multi_scale=0.5"], "arm stock: train.multi_scale=0.5: resizes batches"),
        (["task=classify", "arms=[multi_scale,fixed]"], "arm multi_scale: task=classify: "),
        (["train.iou=2.0"], "train.iou=2.0: must be a number in [0, 1]"),
        (["data=nowhere.yaml"], "arm stock: data: 'nowhere.yaml' "),
    ],
)
def test_a_mistake_is_found_before_anything_starts(
    tiny_data, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        compare([*SMALL, f"data={tiny_data}", *arguments])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert not any(tmp_path.iterdir())


def test_bad_labels_are_found_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write_boxes(tmp_path / "data")
    for label in data.parent.glob("labels/train/*.txt"):
        label.write_text("7 .5 .5 .5 .5\n")
    asked = [*SMALL, f"data={data}", "arms=[fixed,progressive]", "seeds=[0]"]
    assert compare([*asked, "dry_run=true"]) is None
    with pytest.raises(InputError, match="12 of 12 images cannot be used"):
        compare(asked)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_of_something_else_is_refused(tiny_data, tmp_path):
    (tmp_path / "note.txt").touch()
    with pytest.raises(InputError, match="is not empty and holds no comparison"):
        compare([*SMALL, f"data={tiny_data}", f"output={tmp_path}"])
    with pytest.raises(InputError, match="is no folder"):
        compare([*SMALL, f"data={tiny_data}", f"output={tmp_path / 'note.txt'}"])


def test_a_folder_that_cannot_be_made_is_refused(tiny_data):
    for output in ("x" * 300, "/proc/x"):
        with pytest.raises(InputError, match=r"^output=") as error:
            compare([*SMALL, f"data={tiny_data}", f"output={output}", "arms=[fixed,progressive]"])
        assert "\n" not in str(error.value)


def command(*arguments):
    return [sys.executable, "-m", "progressive.compare", *arguments]


@pytest.mark.slow
def test_the_command_line_answers_in_one_line(tmp_path):
    wrong = subprocess.run(command("arms=[fixd]"), cwd=tmp_path, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    assert wrong.stderr.startswith("progressive: arms")
    asked = subprocess.run(command("--help"), cwd=tmp_path, capture_output=True, text=True)
    assert "seeds=[0,1,2]" in asked.stdout
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_real_comparison(tiny_data, tmp_path):
    arguments = command(
        *(*SMALL, f"data={tiny_data}", "output=out", "seeds=[3]"),
        *(
            "arms=[stock,fixed,multi_scale]",
            "+arm.mine=[durations=[1,1],size.min=64]",
        ),
    )
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert list(found["arms"]) == ["stock", "fixed", "multi_scale", "mine"]
    assert found["arms"]["stock"]["images"] == [24]
    assert found["arms"]["stock"]["pixels"] == [24 * 64**2]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "All runs saw the same data." in page
    assert "python -m progressive.compare" in page
    assert found["arms"]["multi_scale"]["pixels"] == [pytest.approx(24 * 64**2 * 13 / 12)]
    assert found["baseline"] == "fixed"
    assert found["verdict"] in done.stdout
    assert "multi_scale" in (tmp_path / "out" / "report.html").read_text()
    # Stock has Ultralytics' defaults, and what the user set.
    log = (tmp_path / "out" / "stock" / "seed3.log").read_text()
    assert "deterministic=True" in log
    assert "mosaic=1.0" in log
    assert "plots=False" in log
    assert "RandAugment" not in log
    assert "multi_scale=0.5" not in log
    # What was trained is there and is not trained again; other settings are refused.
    same = [*arguments, "save_minutes=5"]  # how a run is kept makes it no other run
    again = subprocess.run(same, cwd=tmp_path, capture_output=True, text=True)
    assert again.stdout.count("was there already") == 4
    other = subprocess.run([*arguments, "epochs=3"], cwd=tmp_path, capture_output=True, text=True)
    assert other.returncode == 2
    assert "was trained with other settings" in other.stderr
    # A truncated record is named.
    (tmp_path / "out" / "fixed" / "seed3" / "epochs.csv").write_text("epoch,")
    cut = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert (cut.returncode, cut.stderr.count("\n")) == (2, 1)
    assert f"delete {tmp_path / 'out' / 'fixed' / 'seed3'} to repeat the run" in cut.stderr
    assert "was there already" not in cut.stdout  # found by the check
