"""A table of payloads at every entrance: none leaves its mark, each ends in one line and 2."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
import yaml

from progressive import report
from progressive.config.command_line import compose_config
from progressive.config.model import to_yaml
from progressive.detectors import build_detector
from progressive.errors import InputError

KINDS = ("mkdir", "shell", "eval", "exec", "import", "getattr", "unpickle")

#: A detector that is built in a moment.
SMALL = (
    *("machine=cpu", "device=cpu", "head=yolov8n", "backbone=efficientnetv2_b0"),
    *("backbone.width=0.25", "backbone.depth=0.25", "stages=2", "size.min=32", "size.max=64"),
    *("epochs=4", "batch=4", "train.plots=false"),
)


@pytest.fixture(scope="module")
def small():
    return build_detector("yolov8", "n", width=0.25, depth=0.25, classes=["box"]).model


@pytest.fixture
def data(tiny_data, tmp_path):
    """A data set of one's own to spoil."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_data.parent, folder)
    for cache in folder.rglob("*.cache"):
        cache.unlink()
    text = f"path: {folder}\ntrain: images/train\nval: images/val\nnames: [box]\n"
    (folder / "data.yaml").write_text(text)
    return folder / "data.yaml"


@pytest.fixture
def foreign(tmp_path, data, small):
    """The folder of an interrupted run from somebody else."""
    folder = tmp_path / "foreign"
    (folder / "weights").mkdir(parents=True)
    config = compose_config([*SMALL, f"data={data}"])
    (folder / "config.yaml").write_text(to_yaml(config))
    save(small, folder / "weights" / "last.pt")
    save(small, folder / "weights" / "best.pt")
    return folder


def save(model, path, **parts):
    torch.save({"epoch": 1, "ema": model, "updates": 3, "train_args": {}, **parts}, path)


def refused(done, mark, *said):
    """Check the promise: no mark, one line, exit code 2."""
    code, _, error = done
    assert not mark.exists()
    assert code == 2
    assert error.startswith("progressive: ")
    assert error.count("\n") == 1
    for part in said:
        assert part in error


@pytest.mark.parametrize("kind", KINDS)
def test_payloads_of_these_tests_do_something(kind, payloads, mark, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "this_is_imported.py").write_text(f"import os; os.mkdir({str(mark)!r})")
    monkeypatch.delitem(sys.modules, "this_is_imported", raising=False)
    for value in (payloads[kind],):
        try:
            found = pickle.loads(pickle.dumps(value))
        except (TypeError, AttributeError, pickle.PicklingError):
            assert kind == "getattr"  # modules cannot be pickled
            return
    assert mark.exists() or callable(found)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["last.pt", "best.pt"])
@pytest.mark.parametrize("kind", ["mkdir", "eval", "unpickle"])
def test_checkpoints_of_a_run(kind, file, foreign, payloads, mark, progressive):
    payload = payloads[kind]
    path = foreign / "weights" / file
    contents = {
        "alone": lambda: torch.save(payload, path),
        "old format": lambda: torch.save(payload, path, _use_new_zipfile_serialization=False),
        "bare": lambda: path.write_bytes(pickle.dumps(payload)),
        "protocol 0": lambda: path.write_bytes(pickle.dumps({"epoch": 1, "ema": payload}, 0)),
        "model": lambda: torch.save({"epoch": 1, "ema": payload}, path),
        "arguments": lambda: torch.save({"epoch": 1, "train_args": {"data": payload}}, path),
    }
    for write in contents.values():
        write()
        refused(progressive(f"resume={foreign}"), mark, file)


@pytest.mark.parametrize(
    "part", ["optimizer", "scaler", "stopper", "train_args", "date", "updates"]
)
def test_every_part_of_a_checkpoint(part, foreign, small, payloads, mark, progressive):
    save(small, foreign / "weights" / "last.pt", **{part: {"state": payloads["mkdir"]}})
    refused(progressive(f"resume={foreign}"), mark, "last.pt: names")


def test_an_attribute_of_a_layer(foreign, payloads, mark, progressive):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    model[0].extra = payloads["mkdir"]
    save(model, foreign / "weights" / "last.pt")
    refused(progressive(f"resume={foreign}"), mark, "last.pt: names")


def test_two_archives_in_one(foreign, payloads, mark, progressive):
    path = foreign / "weights" / "last.pt"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", pickle.dumps(payloads["mkdir"]))
    refused(progressive(f"resume={foreign}"), mark, "last.pt")


def test_a_model_that_is_not_the_one_of_the_settings(foreign, mark, progressive):
    save(torch.nn.Linear(2, 2), foreign / "weights" / "best.pt")
    refused(progressive(f"resume={foreign}"), mark, "best.pt: is of another model than")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("!!python/object/apply:os.mkdir [MARK]", "config.yaml"),
        ("? !!python/object/apply:os.mkdir [MARK]\n: 1", "config.yaml"),
        ({"data": "EVIL"}, "download"),
        ({"data": "https://example.org/data.zip"}, "nothing is downloaded"),
        ({"data": "ul://someone/data"}, "nothing is downloaded"),
        ({"train": {"cfg": "EVIL"}}, "train.cfg"),
        ({"train": {"model": "EVIL"}}, "train.model"),
        ({"train": {"pretrained": "EVIL"}}, "train.pretrained"),
        ({"train": {"data": "EVIL"}}, "train.data"),
        ({"train": {"resume": "EVIL"}}, "train.resume"),
        ({"train": {"distill_model": "EVIL"}}, "train.distill_model"),
        ({"train": {"augmentations": [{"__class_fullname__": "os.mkdir"}]}}, "augmentations"),
        ({"train": {"callbacks": "os.mkdir"}}, "train.callbacks"),
        ({"train": {"_target_": "os.mkdir"}}, "train._target_"),
        ({"_target_": "os.mkdir"}, "_target_: unknown key"),
        ({"backbone": {"source": "timm", "name": "hf-hub:someone/model"}}, "backbone.name"),
        ({"backbone": {"source": "timm", "name": "local-dir:/tmp"}}, "backbone.name"),
        ({"head": {"name": "EVIL", "scale": "n"}}, "head"),
    ],
)
def test_settings_of_a_run(change, said, foreign, payloads, mark, progressive):
    evil = foreign / "evil.yaml"
    code = f"import os; os.mkdir({str(mark)!r})"
    evil.write_text(yaml.safe_dump({"train": "no", "val": "no", "nc": 1, "download": code}))
    torch.save(payloads["mkdir"], foreign / "evil.pt")
    settings = foreign / "config.yaml"
    if isinstance(change, str):
        settings.write_text(change.replace("MARK", str(mark)))
    else:
        text = yaml.safe_dump(change).replace("EVIL", str(evil))
        if "distill" in text:
            text = text.replace("evil.yaml", "evil.pt")
        changed = yaml.safe_load(text)
        settings.write_text(yaml.safe_dump(yaml.safe_load(settings.read_text()) | changed))
    if said == "download":
        (foreign / "evil.yaml").write_text(
            yaml.safe_dump({"path": "gone", "train": "a", "val": "b", "nc": 1, "download": code})
        )
    refused(progressive(f"resume={foreign}"), mark, said)


@pytest.mark.parametrize("suffix", ["pt", "pth", "bin", "safetensors"])
@pytest.mark.parametrize("kind", ["mkdir", "eval"])
def test_weights(kind, suffix, data, payloads, mark, tmp_path, progressive):
    path = tmp_path / f"weights.{suffix}"
    whole = ("machine=cpu", "device=cpu", "backbone=efficientnetv2_b0", f"data={data}")
    for value in (payloads[kind], {"conv_stem.weight": payloads[kind]}):
        torch.save(value, path)
        refused(progressive(*whole, f"backbone.weights={path}"), mark, f"weights.{suffix}: not a")
    path.write_bytes(pickle.dumps(payloads[kind]))
    refused(progressive(*whole, f"backbone.weights={path}"), mark, f"weights.{suffix}: not a")


def as_array(value):
    stream = io.BytesIO()
    np.save(stream, np.array(value, dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("kind", KINDS[:4])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_label_caches(split, kind, data, payloads, mark, progressive):
    folder = data.parent
    if split == "test":
        for part in ("images", "labels"):
            shutil.copytree(folder / part / "val", folder / part / "test")
        data.write_text(f"{data.read_text()}test: images/test\n")
    cache = folder / "labels" / f"{split}.cache"
    for content in (as_array({"labels": [payloads[kind]]}), as_array(payloads[kind])):
        cache.write_bytes(content)
        refused(progressive(*SMALL, f"data={data}", "train.split=test"), mark, cache.name)


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_image_caches(task, data, payloads, mark, tmp_path, progressive):
    if task == "detect":
        folder, given = data.parent / "images" / "train", data
    else:
        given = tmp_path / "classes"
        for split in ("train", "val"):
            for name in ("a", "b"):
                shutil.copytree(data.parent / "images" / "val", given / split / name)
        folder = given / "train" / "a"
    for content in (as_array(payloads["mkdir"]), pickle.dumps(payloads["mkdir"])):
        (folder / "0.npy").write_bytes(content)
        done = progressive(*SMALL, f"task={task}", f"data={given}", "cache=disk")
        refused(done, mark, "0.npy: data: holds Python objects")
    np.save(folder / "0.npy", np.zeros((4, 4, 3), np.uint8))
    assert progressive(*SMALL, f"task={task}", f"data={given}", "dry_run=true")[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir [MARK]",
        "train: images/train\nval: images/val\nnames: !!python/object/apply:os.mkdir [MARK]",
        "train: gone\nval: gone\nnames: [a]\ndownload: |\n  import os\n  os.mkdir('MARK')",
        "train: gone\nval: gone\nnames: [a]\ndownload: bash -c 'mkdir MARK'",
        "path: gone\ntrain: a\nval: b\nnames: [a]\ndownload: bash script.sh",
        "train: https://example.org/x.zip\nval: a\nnames: [a]",
    ],
)
def test_data_yamls(text, data, mark, progressive):
    data.write_text(text.replace("MARK", str(mark)))
    refused(progressive(*SMALL, f"data={data}"), mark, "data.yaml")


@pytest.mark.parametrize(
    "arguments",
    [
        ("+hydra.callbacks.e._target_=os.mkdir", "+hydra.callbacks.e.path=mark"),
        ("+hydra.callbacks.e._target_=builtins.eval", "+hydra.callbacks.e._args_=[CODE]"),
        ("+hydra.callbacks.e._target_=evil.run",),
        ("+hydra.callbacks.e={_target_:os.mkdir,path:mark}",),
        ("+hydra.callbacks.e.a.b._target_=os.mkdir", "+hydra.callbacks.e._target_=builtins.dict"),
        ("hydra.callbacks.check_first._target_=evil.run",),
        ("hydra.callbacks.check_first.precheck.path=evil.run",),
        ("hydra.callbacks.check_first._target_=${oc.env:EVIL}",),
        ("hydra.launcher._target_=evil.run",),
        ("hydra.sweeper._target_=evil.run", "-m"),
        ("+hydra.job_logging.handlers={e:{class:evil.run}}", "hydra.job_logging.root={level:INFO}"),
        ("+hydra.job_logging.formatters={e:{'()':evil.run}}",),
        ("+hydra.job_logging.handlers={e:{class:logging.StreamHandler,stream:'ext://evil.run'}}",),
        ("+hydra.job.env_set.LD_PRELOAD=evil.so",),
        ("hydra.searchpath=[pkg://evil]",),
        ("--config-path", "pkg://evil"),
        ("--config-dir", "pkg://evil"),
        ("+train._target_=os.mkdir",),
        ("train.distill_model=evil.pt",),
        ("data=__import__('os').mkdir('mark')",),
        ("backbone.variant=__import__('os').mkdir('mark')", "backbone=elan"),
        ("epochs=${eval:1}",),
        ("epochs=${oc.decode:'!!python/object/apply:os.mkdir [mark]'}",),
        ("train.optimizer=__import__('os').mkdir('mark')",),
        ("resume=foreign/weights/last.pt", "train.data=evil.yaml"),
    ],
)
def test_the_command_line(arguments, mark, tmp_path, progressive, monkeypatch):
    code = f"__import__('os').mkdir({str(mark)!r})"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("EVIL", "evil.run")
    (tmp_path / "evil.py").write_text(f"{code}\ndef run(**_): pass\n")
    torch.save({"model": 1}, tmp_path / "evil.pt")
    given = [argument.replace("CODE", f'"{code}"') for argument in arguments]
    refused(progressive("dry_run=true", "device=cpu", *given), mark)
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    "text",
    [
        "hydra: {callbacks: {e: {_target_: os.mkdir, path: MARK}}}",
        "hydra: {callbacks: {e: {_target_: evil.run}}}",
        "hydra: {callbacks: {check_first: {precheck: {path: os.mkdir}}}}",
        "hydra: {launcher: {_target_: os.mkdir}}",
        "hydra: {sweeper: {_target_: os.mkdir}}",
        "hydra: {job_logging: {root: {}, handlers: {e: {class: evil.run}}}}",
        "hydra: {job: {env_set: {PATH: MARK}}}",
        "train: {_target_: os.mkdir, path: MARK}",
        "stages: !!python/object/apply:os.mkdir [MARK]",
        "data: !!python/name:os.mkdir ''",
    ],
)
@pytest.mark.parametrize("option", ["--config-dir", "hydra.searchpath"])
def test_folders_of_options(option, text, mark, tmp_path, progressive, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text(f"import os; os.mkdir({str(mark)!r})")
    group = tmp_path / "conf" / "schedule"
    group.mkdir(parents=True)
    (group / "mine.yaml").write_text(f"# @package _global_\n{text}\n".replace("MARK", str(mark)))
    where = (option, "conf") if option.startswith("--") else (f"{option}=[conf]",)
    refused(progressive("dry_run=true", "device=cpu", *where, "schedule=mine"), mark)
    assert "evil" not in sys.modules


@pytest.mark.slow
@pytest.mark.parametrize("record", ["config.yaml", "plan.json", "epochs.csv", "summary.json"])
def test_a_report_on_the_folder_of_somebody_else(record, foreign, payloads, mark):
    (foreign / "plan.json").write_text("{}")
    text = f"!!python/object/apply:os.mkdir ['{mark}']"
    (foreign / record).write_text(text)
    with pytest.raises(InputError) as error:
        report.write([foreign], foreign)
    assert "\n" not in str(error.value)
    (foreign / record).write_bytes(pickle.dumps(payloads["mkdir"]))
    with pytest.raises(InputError):
        report.write([foreign], foreign)
    assert not mark.exists()


@pytest.mark.slow
def test_a_comparison_in_the_folder_of_somebody_else(foreign, data, payloads, mark, tmp_path):
    folder = tmp_path / "compared" / "fixed"
    shutil.copytree(foreign, folder / "seed0")
    torch.save(payloads["mkdir"], folder / "seed0" / "weights" / "last.pt")
    (folder / "seed0.json").write_text(f'{{"command": ["mkdir", "{mark}"], "asked": {{}}}}')
    done = subprocess.run(
        [
            *(sys.executable, "-m", "progressive.compare", *SMALL, f"data={data}"),
            *("seeds=[0]", "arms=[fixed,progressive]", "output=compared"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    refused((done.returncode, done.stdout, done.stderr), mark, "with other settings")
