"""The command line as a user meets it: in a process of its own, from an empty folder."""

import subprocess
import sys
import time

import pytest

from progressive.config.keys import GROUPS, KEYS


def progressive(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "progressive.run", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_dry_run_prints_the_plan_quickly_and_writes_nothing(tmp_path):
    started = time.monotonic()
    done = progressive(
        "stages=4", "size.min=320", "size.max=640", "device=cpu", "dry_run=true", cwd=tmp_path
    )
    assert time.monotonic() - started < 3
    assert (done.returncode, done.stderr) == (0, "")
    for cell in ("320", "416", "544", "640", "Pixel cost: 0.60"):
        assert cell in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backbone", [(), ("backbone=timm", "backbone.name=resnet18")])
def test_planning_does_not_import_torch(tmp_path, backbone):
    code = (
        f"import sys; sys.argv = {['run', 'dry_run=true', *backbone]};"
        "from progressive.run import main; main();"
        "heavy = {'torch', 'ultralytics', 'timm', 'sklearn', 'cv2'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("sze.min=320",),
        ("stages=0",),
        ("size.max=300",),
        ("backbone=resnet1",),
        ("backbone=timm", "backbone.name=resnet1", "dry_run=true"),
        ("backbone=timm", "backbone.name=vit_tiny_patch16_224"),  # all its maps are at stride 16
        ("train.rect=true",),
        ("data=no/such.yaml",),
        ("data=digit",),
        ("resume=no/such/run",),
        ("hydra.nonsense=1",),
        ("-m", "stages=1,0"),
        ("-m", "seed=0,1", "size.max=100"),
    ],
)
def test_bad_input_ends_with_2_and_one_line(arguments, tmp_path):
    done = progressive(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("progressive: ")
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_help_explains_every_key(tmp_path):
    done = progressive("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name, key in KEYS.items():
        assert name in done.stdout
        assert key.help in done.stdout
    assert all(sentence in done.stdout for sentence in GROUPS.values())


def test_cfg_job_shows_the_configuration(tmp_path):
    done = progressive("--cfg", "job", "stages=2", "device=cpu", cwd=tmp_path)
    assert done.returncode == 0
    assert "stages: 2" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_sweep_runs_every_combination(tmp_path):
    done = progressive("stages=1,2", "-m", "seed=0,1", "device=cpu", "dry_run=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Pixel cost:") == 4
