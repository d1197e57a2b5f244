"""Which model a name means and what it is for, without torch and without fetching anything."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
import ultralytics
from ultralytics import YOLO
from ultralytics.nn.tasks import guess_model_task
from ultralytics.utils import YAML

from progressive.detectors import build_classifier, build_detector
from progressive.detectors.model_file import find_model, read_model_yaml, shipped_yaml, task_of
from progressive.errors import InputError

SHIPPED = sorted((Path(ultralytics.__file__).parent / "cfg" / "models").rglob("*.yaml"))
TASKS = {
    "yolo11n.yaml": "detect",
    "yolov10n.yaml": "detect",
    "yolo11n-seg.yaml": "segment",
    "yolo26n-seg.yaml": "segment",
    "yolo11n-pose.yaml": "pose",
    "yolo11n-obb.yaml": "obb",
    "yolo11n-cls.yaml": "classify",
    "yolo26n-sem.yaml": "semantic",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refusal(name):
    with pytest.raises(InputError) as error:
        task_of(find_model(name))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"model={name}: ")
    return str(error.value)


@pytest.mark.parametrize("name", TASKS)
def test_the_task_of_yaml_and_weights(name):
    assert task_of(find_model(name)) == TASKS[name]
    model = YOLO(name)
    weights = name.replace(".yaml", ".pt")
    model.save(weights)
    assert task_of(find_model(weights)) == TASKS[name] == model.task


def test_the_task_of_every_yaml_that_ultralytics_ships():
    others = [p for p in SHIPPED if any(word in p.name for word in ("world", "yoloe", "depth"))]
    for path in others:  # they need text, or measure depth
        with pytest.raises(InputError, match="cannot be trained here"):
            task_of(path)
    guessed = {p: guess_model_task(YAML.load(p)) for p in SHIPPED if p not in others}
    rest = {path: task or "detect" for path, task in guessed.items()}  # it has no word for RT-DETR
    assert len(rest) > 50
    assert {path: task_of(path) for path in rest} == rest


@pytest.mark.parametrize(
    ("build", "task"),
    [
        (lambda: build_detector("yolov8", "n", width=0.25, depth=0.25), "detect"),
        (lambda: build_classifier(width=0.25, depth=0.25, classes=2), "classify"),
    ],
)
def test_the_task_of_our_own_checkpoints(build, task):
    build().save("best.pt")
    assert task_of(find_model("best.pt")) == task


def test_a_file_is_found_before_a_yaml_of_ultralytics():
    assert find_model("yolo11n.yaml") == Path("yolo11n.yaml")
    assert shipped_yaml("yolo11n.yaml").name == "yolo11.yaml"
    assert shipped_yaml("yolov8x-p6.yaml").name == "yolov8-p6.yaml"
    Path("yolo11n.yaml").write_text("backbone: [[-1, 1, Conv, [8]]]\nhead: [[-1, 1, Pose, [1]]]\n")
    assert find_model("yolo11n.yaml") == Path.cwd() / "yolo11n.yaml"
    assert task_of(find_model("yolo11n.yaml")) == "pose"
    assert shipped_yaml("sub/yolo11n.yaml") is None


def test_a_missing_file_is_told_where_to_be_put(tmp_path):
    said = refusal("yolo11n.pt")
    assert f"no such file; put it into {tmp_path} or give its path" in said
    assert "nothing is fetched; model=yolo11n.yaml starts from random weights" in said
    assert f"put it into {tmp_path / 'weights'} or give" in refusal("weights/mine.pt")
    Path("yolo11n-seg.pt").touch()
    assert "(did you mean yolo11n-seg.pt?)" in refusal("yolo11n-sge.pt")
    assert "random weights" not in refusal("mine.pt")
    assert "no such file" in refusal("nothing/like.yaml")


@pytest.mark.parametrize(
    "name", ["https://example.org/a.pt", "ul://user/model", "rtsp://x/y.pt", "ul:a/b"]
)
def test_nothing_remote_is_fetched(name):
    assert "is remote and nothing is fetched" in refusal(name)


@pytest.mark.parametrize("name", ["best.onnx", "model.engine", "folder", "a.pth"])
def test_what_is_no_model_file(name):
    assert "must be weights of Ultralytics (.pt) or a model yaml" in refusal(name)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "folder.pt").mkdir()
    assert "is a folder; give weights (.pt) or a model yaml" in refusal("folder.pt")
    assert "is a folder" in refusal(".")


def test_a_name_without_its_suffix():
    assert "give yolo11n.pt to start from weights that lie there, or yolo11n.yaml" in refusal(
        "yolo11n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "just text",
        "names: [a]",
        "backbone: []\nhead: []",
        "backbone: [[-1, 1, Conv, [8]]]\nhead: 5",
        "backbone: [[-1, 1, Conv, [8]]]\nhead: [[-1, 1, 3, [8]]]",
        "backbone: [[-1, 1, Conv]]\nhead: [[-1, 1, Detect, [8]]]",
        "!!python/object/apply:os.getcwd []",
    ],
)
def test_a_yaml_that_is_no_model(text, tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(text)
    said = refusal(str(path))
    assert "is no model yaml" in said or "is no yaml that can be read" in said
    with pytest.raises(InputError):
        read_model_yaml(path)


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_weights_that_are_none_and_nothing_in_them_runs(tmp_path):
    made = {
        "text": lambda path: path.write_text("no zip"),
        "empty": lambda path: path.touch(),
        "state": lambda path: torch.save({"a": torch.zeros(2)}, path),
        "tensors": lambda path: torch.save(torch.zeros(2), path),
        "hostile": lambda path: torch.save({"model": Hostile(), "x": Hostile()}, path),
        "module": lambda path: torch.save({"model": torch.nn.Linear(2, 2)}, path),
    }
    for name, make in made.items():
        path = tmp_path / f"{name}.pt"
        make(path)
        assert refusal(str(path))
    with ZipFile(tmp_path / "damaged.pt", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"model": 1})[:-4])
    assert "is not a checkpoint that can be read" in refusal(str(tmp_path / "damaged.pt"))
    assert "holds no model of Ultralytics; weights of a backbone" in refusal(
        str(tmp_path / "state.pt")
    )
    assert "holds a Linear, which cannot be trained here" in refusal(str(tmp_path / "module.pt"))
    assert not (tmp_path / "ran").exists()


def test_torch_is_not_loaded():
    YOLO("yolo11n-seg.yaml").save("yolo11n-seg.pt")
    code = (
        "import sys; from progressive.detectors.model_file import find_model, task_of\n"
        "print(*(task_of(find_model(f'yolo11n-seg.{end}')) for end in ('pt', 'yaml')))\n"
        "assert not {'torch', 'ultralytics', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("segment segment\n", 0), done.stderr
