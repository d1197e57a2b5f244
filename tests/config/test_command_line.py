"""The command line as a user meets it: in a process of its own, from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from progressive.config.complaints import keys
from progressive.config.model import GROUPS, Config

DRY = ("device=cpu", "dry_run=true")


def progressive(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "progressive.run", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_dry_run_prints_the_plan_quickly_and_writes_nothing(tmp_path):
    spent = []
    for _ in range(3):
        before = os.times()
        done = progressive("stages=4", "size.min=320", "size.max=640", *DRY, cwd=tmp_path)
        after = os.times()
        spent.append(after.children_user + after.children_system - sum(before[2:4]))
    # Seconds of the processor, so that other work on the machine does not count. 0.4 are usual.
    assert min(spent) < 1.0
    assert (done.returncode, done.stderr) == (0, "")
    for cell in ("320", "416", "544", "640", "Pixel cost: 0.48"):
        assert cell in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_nobody_reads_to_its_end_ends_without_a_word(tmp_path):
    command = f"{sys.executable} -m progressive.run dry_run=true | head -n 1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


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


#: Others of Hydra's options and sweeps; each is a process, so most of them are slow together.
OPTIONS_AND_SWEEPS = [
    ("--cfg", "jobs"),
    ("--conf", "ambiguous"),
    ("--resolve",),
    ("--shell-completion",),
    ("--config-dir", "nowhere", "dry_run=true"),
    ("hydra.searchpath=[file:///nowhere]", "dry_run=true"),
    ("hydra.run.dir=my/run", "stages=0"),
    # All its maps are at stride 16, which shows when it is built.
    ("hydra.run.dir=my/run", "backbone=timm", "backbone.name=vit_tiny_patch16_224"),
    ("hydra.run.dir=my/run", "output=run"),
    ("-m", "stages=1,0"),
    ("-m", "seed=0,1", "size.max=100"),
    ("-m", "data=digits,blur"),
    ("-m", "seed=0,1", "hydra.sweep.subdir=same"),
    ("-m", "seed=interval(0,1)"),
    ("-m", "head=glob(yolov8*)", "backbone=resnet50,resnet5"),
]


@pytest.mark.parametrize(
    "arguments",
    [
        *(pytest.param(arguments, marks=pytest.mark.slow) for arguments in OPTIONS_AND_SWEEPS),
        ("sze.min=320",),
        ("stages=0",),
        ("size.max=300",),
        ("backbone=resnet1",),
        ("backbone=timm", "backbone.name=resnet1", "dry_run=true"),
        ("train.rect=true",),
        ("price_per_hour=2.5",),
        ("probe=true", "device=[0,1]"),
        ("data=digits", "epochs=4", "train.nbs=5000", "machine=cpu", "train.warmup_epochs=0"),
        ("data=no/such.yaml",),
        ("data=digit",),
        ("resume=no/such/run",),
        ("hydra.nonsense=1",),
        ("stages=[1",),
        ("stages=1,2",),
        ("--nonsense",),
    ],
)
def test_bad_input_ends_with_2_and_one_line(arguments, tmp_path):
    done = progressive(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("progressive: ")
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("head=glob(nothing*)", "no option of head is called so; --help lists them"),
        ("model=glob(*.pt)", "and model is none; write model=FILE,FILE"),
        ("seed=range(3,3)", "has no value"),
    ],
)
def test_a_sweep_of_no_job_is_one_line(sweep, said, tmp_path):
    done = progressive("-m", "stages=1,2", sweep, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"progressive: {sweep}: ")
    assert done.stderr.endswith(f"{said}\n")
    assert list(tmp_path.iterdir()) == []


def test_help_explains_every_key(tmp_path):
    done = progressive("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name, field in keys(Config).items():
        assert f"  {name} " in done.stdout
        assert field.description in done.stdout
    assert all(sentence in done.stdout for sentence in GROUPS.values())
    assert "\nmachine: cpu, gpu\n" in done.stdout


MINE = ("schedule=mine", *DRY)

#: What Hydra offers, and how often what then shows.
HYDRA = {
    "--hydra-help": (("--hydra-help",), "== Flags ==", 1),
    "--version": (("--version",), "Hydra 1.", 1),
    "--info": (("--info",), "Config search path", 1),
    "--info searchpath": (("--info", "searchpath"), "/conf", 1),
    "--info defaults": (("--info", "defaults", "machine=gpu"), "backbone/for_gpu", 2),
    "--shell-completion": (("--shell-completion", "install=bash"), "complete -o nospace", 1),
    "--cfg job": (("--cfg", "job", "stages=2", "device=cpu"), "stages: 2\n", 1),
    "--cfg hydra": (("--cfg", "hydra"), "searchpath: []\n", 1),
    "--package": (("--cfg", "job", "-p", "size", "machine=cpu"), "# @package size\nmin: 96", 1),
    "--resolve": (("--cfg", "job", "--resolve", "machine=cpu", "batch=5"), "nbs: 5\n", 1),
    "--cfg -m": (("--cfg", "job", "-m", "seed=0,1", "stages=1,2"), "stages: 2\n", 2),
    "--cfg -m --resolve": (
        ("-m", "--cfg", "job", "--resolve", "-p", "train", "batch=5,6", "machine=cpu"),
        "# batch=6 machine=cpu\n# @package train\noptimizer: AdamW\nlr0: 0.003\nnbs: 6\n",
        1,
    ),
    "sweep": (("stages=1,2", "-m", "seed=0,1", *DRY), "Pixel cost:", 4),
    "range": (("-m", "seed=range(0,3)", *DRY), "Pixel cost:", 3),
    "glob": (("-m", "head=glob(yolov8*)", *DRY), "yolov8x with", 1),
    "hydra.mode": (("hydra.mode=MULTIRUN", "seed=0,1", *DRY), "Pixel cost:", 2),
    "~key": (("~train.nbs", "~durations", "--cfg", "job", "machine=cpu"), "nbs", 0),
    "~knob": (("~dropout", "--cfg", "job", "machine=cpu"), "dropout", 0),
    "~key of null": (("~durations", "~train.nbs", "~dropout", *DRY), "Pixel cost:", 1),
    "+experiment": (("+experiment=resnet50_progressive", *DRY), "yolov8n with resnet50", 1),
    "experiment": (("experiment=resnet50_progressive", *DRY), "yolov8n with resnet50", 1),
    "--config-dir": (("--config-dir", "my_conf", *MINE), "2/2", 1),
    "hydra.searchpath": (("hydra.searchpath=[my_conf]", *MINE, "machine=mine"), "batch 2\n", 1),
    "file://": (("hydra.searchpath=[file://HERE/my_conf]", *MINE), "2/2", 1),
    "hydra.run.dir": (("hydra.run.dir=my/run", *DRY), "Pixel cost:", 1),
    "interpolation": (("output=${hydra:job.name}", *DRY), "Pixel cost:", 1),
}


@pytest.fixture
def my_conf(tmp_path):
    """A user's own options, in two of our groups."""
    options = {
        "schedule": "stages: 2\ndurations: [3, 1]\ndrop_path: [0.0, 0.2]\n",
        "machine": "epochs: 8\nbatch: 2\nworkers: 0\nsize: {min: 32, max: 64}\n",
    }
    for group, text in options.items():
        (tmp_path / "my_conf" / group).mkdir(parents=True)
        (tmp_path / "my_conf" / group / "mine.yaml").write_text(f"# @package _global_\n{text}")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", HYDRA)
def test_hydras_own_options_work(name, my_conf):
    arguments, shown, times = HYDRA[name]
    given = [argument.replace("HERE", str(my_conf)) for argument in arguments]
    done = progressive(*given, cwd=my_conf)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(shown) == times
    assert [path.name for path in my_conf.iterdir()] == ["my_conf"]


def test_options_of_ones_own_are_suggested(my_conf):
    done = progressive("--config-dir", "my_conf", "schedule=mein", cwd=my_conf)
    assert done.stderr == "progressive: schedule=mein: did you mean mine?\n"
    assert done.returncode == 2


def test_a_sweep_of_dry_runs_leaves_nothing(tmp_path):
    (tmp_path / "runs" / "other").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    where = ("hydra.sweep.dir=runs/sweep", "hydra.sweep.subdir=of/${seed}")
    done = progressive("-m", "seed=3,4", *where, *DRY, cwd=tmp_path)
    assert (done.returncode, done.stdout.count("Pixel cost:")) == (0, 2), done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_listing_that_is_cut_off_starts_nothing(tmp_path):
    listing = f"{sys.executable} -m progressive.run --cfg job -m 'seed=range(0,100)'"
    subprocess.run(["bash", "-c", f"{listing} 2>&1 | head -1"], cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


SCRIPT = Path(sys.executable).with_name("progressive")


@pytest.mark.slow
@pytest.mark.skipif(not SCRIPT.exists(), reason="the package is not installed")
def test_bash_completes_keys_and_options(tmp_path):
    completed = {
        "size.": "size.max= size.min=",
        "head=yolov10": " ".join(f"head=yolov10{scale}" for scale in ["", *"blmnsx"]),
        "schedule=efficientnetv2_s dro": "drop_path. dropout.",
        "+experiment=res": "+experiment=resnet50_progressive",
    }
    script = f"""
        PATH={SCRIPT.parent}:$PATH
        eval "$(progressive --shell-completion install=bash)"
        while read -r COMP_LINE; do
            COMP_WORDS=($COMP_LINE) COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
            hydra_bash_completion
            echo "${{COMPREPLY[@]}}"
        done
    """
    # What was typed is read after the script, which is a string and so leaves stdin free.
    done = subprocess.run(
        ["bash", "-c", script],
        input="".join(f"progressive {typed}\n" for typed in completed),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == list(completed.values()), done.stderr


#: A callback of Hydra's that tells what a job returned.
TELL = """
from hydra.experimental.callback import Callback

class Tell(Callback):
    def on_job_end(self, config, job_return, **_):
        print("objective:", job_return.return_value)
"""


def test_a_dry_run_has_no_objective(tmp_path, monkeypatch):
    (tmp_path / "tell.py").write_text(TELL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", "tell.Tell")
    done = progressive(*DRY, "+hydra.callbacks.tell._target_=tell.Tell", cwd=tmp_path)
    assert "objective: None\n" in done.stdout, done.stderr
