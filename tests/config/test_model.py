"""What may be written for each key, what is said of anything else, and what it comes to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from progressive.config.command_line import compose_config
from progressive.config.complaints import keys
from progressive.config.help import help_text
from progressive.config.model import Config, read_yaml, to_yaml
from progressive.config.train_arguments import ultralytics_defaults
from progressive.errors import ConfigError
from progressive.run import precheck

CPU = "device=cpu"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sze.min=320", "sze.min: unknown key; did you mean size.min?"),
        ("epoch=3", "epoch: unknown key; did you mean epochs?"),
        ("+colour=red", "colour: unknown key; see --help"),
        ("stages=0", "stages=0: must be an integer of at least 1"),
        ("stages=four", "stages=four: must be an integer"),
        ("stages=true", "stages=True: must be an integer"),
        ("stages=40", r"stages=40: must not be above epochs=36"),
        ("size.min=300", "size.min=300: must not be above size.max=192"),
        (
            "size.max=300",
            "size.max=300: must be a multiple of the stride 32, such as 288 or 320",
        ),
        ("size.min=16", "size.min=16: must be an integer of at least 32"),
        ("mixup.max=2", r"mixup.max=2: must be a number in \[0, 1\]"),
        ("mixup.min=0.5", "mixup.min=0.5: must not be above mixup.max"),
        ("dropout.max=1", r"dropout.max=1: must be a number in \[0, 1\)"),
        ("randaugment.max=99", r"randaugment.max=99: must be a number in \[0, 30\]"),
        ("randaugment.max=nan", "randaugment.max=nan: must be a number"),
        ("drop_path=1", r"drop_path=1: must be a number in \[0, 1\)"),
        ("drop_path=[0.2,0.1]", "drop_path.min=0.2: must not be above drop_path.max=0.1"),
        (
            "drop_path=[0,0.1,0.2]",
            r"drop_path=\[0,0.1,0.2\]: write drop_path.KEY=VALUE",
        ),
        ("mixup=[0,0.2]", r"mixup=\[0,0.2\]: write mixup.KEY=VALUE"),
        ("drop_path.max=1", r"drop_path.max=1: must be a number in \[0, 1\)"),
        ("mixup=0.2", "mixup=0.2: write mixup.min=VALUE or mixup.max=VALUE"),
        ("size=320", "size=320: write size.min=VALUE or size.max=VALUE"),
        ("train=320", "train=320: write train.KEY=VALUE"),
        ("durations=[1,2]", "must have one weight per stage"),
        ("durations=4", r"durations=4: must be a list of positive numbers, as \[4,3,2,1\]"),
        ("durations=[4,3,2,0]", r"durations=\[4, 3, 2, 0\]: must be a list of positive numbers"),
        ("price_per_hour=0", "price_per_hour=0: must be a number above 0"),
        ("budget.minutes=-1", r"budget.minutes=-1: must be a number in \(0, 525600\]"),
        ("budget=30", "budget=30: write budget.minutes=VALUE"),
        ("price_per_hour=2", "price_per_hour=2: needs probe=true"),
        ("batch=0", "batch=0: must be an integer of at least 1"),
        ("seed=-1", "seed=-1: must be an integer of at least 0"),
        ("device=gpu", "device=gpu: must be cpu, mps, a GPU such as 0"),
        ("device=[0,0]", "names a GPU twice"),
        ("backbone=efficientnetv2_x", "backbone=efficientnetv2_x: did you mean efficientnetv2_"),
        ("backbone.width=0", r"backbone.width=0: must be a number in \(0, 1\]"),
        ("backbone.pretrained=1", "backbone.pretrained=1: must be true or false"),
        (
            "backbone.pretrained=true",
            "backbone.pretrained=True: needs the whole backbone, not width 0.5 and depth 0.5; "
            "leave both at 1, as backbone=efficientnetv2_b0 does",
        ),
        ("backbone.name=resnet1", "backbone.name=resnet1: did you mean resnet1?52"),
        (
            "backbone.name=resnet50",
            "backbone.width=0.5, backbone.depth=0.5: resnet50 has no fractions of width or depth",
        ),
        ("backbone=timm", "backbone.name: missing; give the name of a timm model"),
        ("backbone.weights=weights.zip", "must be a file ending in .safetensors, .pth, .pt, .bin"),
        ("head=yolov10q", "head=yolov10q: did you mean yolov10"),
        ("head.scale=q", "head.scale=q: yolov10 comes as n, s, m, b, l, x"),
        ("schedule=efficientnet_s", "schedule=efficientnet_s: did you mean efficientnetv2_s?"),
        ("train.lrr0=1", "train.lrr0: unknown argument; did you mean train.lr0?"),
        ("train.lr0=fast", r"train.lr0=fast: must be a number in \[0, 1\]"),
        ("train.cos_lr=2", "train.cos_lr=2: must be true or false"),
        ("train.epochs=3", "train.epochs=3: use epochs instead"),
        ("train.imgsz=3", "train.imgsz=3: use size.max instead"),
        ("cache=ram", "cache=ram: must be disk, null or, for detectors, encoded"),
        ("cache=true", "cache=True: must be disk, null or, for detectors, encoded"),
        (
            "backbone.variant=3",
            "backbone.variant=3: only .* designs have variants, namely prn, csp",
        ),
        ("cache=dsk", "cache=dsk: did you mean disk?"),
        ("train.cache=disk", "train.cache=disk: use cache instead"),
        ("stages=[1", r"stages=\[1: not an override"),
        ("stages", "stages: not an override; write KEY=VALUE"),
        ("~stages", "stages: missing; give stages=VALUE"),
        ("~size", "size: missing; give size.min=VALUE size.max=VALUE"),
        ("~nothing", "nothing.* does not exist"),
        ("machine=1", "machine=1: must be one of cpu, gpu"),
        ("schedule=null", "schedule=null: must be one of default, efficientnetv2_l"),
        ("hydra.nonsense=1", "hydra.nonsense: unknown key; --cfg hydra shows those of Hydra"),
        ("+size.mn=3", "size.mn: unknown key; did you mean size.min?"),
        ("size={mn:3}", "size.mn: unknown key; did you mean size.min?"),
        ("+sze.min=3", "sze.min: unknown key; did you mean size.min?"),
    ],
)
def test_bad_input_is_one_line(override, message):
    with pytest.raises(ConfigError, match=message) as error:
        compose_config([CPU, override])
    assert "\n" not in str(error.value)


def test_the_line_a_stranger_types():
    config = compose_config(["stages=4", "size.min=320", "size.max=640", CPU])
    assert [s.image_size for s in config.schedule().stages] == [320, 416, 544, 640]


def test_default_on_a_cpu_is_small():
    config = compose_config([CPU])
    assert (config.data, config.head.name, config.head.scale) == ("digits", "yolov10", "n")
    assert (config.backbone.name, config.backbone.width) == ("efficientnetv2_b0", 0.5)
    assert config.schedule().image_size == 192


def test_default_on_a_gpu_is_whole():
    config = compose_config(["device=[0,1]"])
    assert config.device == "0,1"
    assert (config.backbone.name, config.backbone.width) == ("efficientnetv2_s", 1)
    assert config.schedule().image_size == 640


def test_naming_a_backbone_takes_all_of_it():
    config = compose_config([CPU, "backbone=efficientnetv2_b0"])
    assert (config.backbone.width, config.backbone.depth) == (1, 1)


TIMM = (CPU, "backbone=timm")


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k", "darknet53"])
def test_any_timm_model_is_a_backbone(name):
    config = compose_config([*TIMM, f"backbone.name={name}", "backbone.pretrained=true"])
    assert (config.backbone.name, config.backbone.key) == (name, f"timm:{name}")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            (*TIMM, "backbone.name=resnet_18"),
            "backbone.name=resnet_18: timm has no model 'resnet_18'; did you mean resnet",
        ),
        ((*TIMM, "backbone.name=hf-hub:some/model"), "timm has no model 'hf-hub:some/model'"),
        (
            (*TIMM, "backbone.name=resnet18", "backbone.width=0.5"),
            "backbone.width=0.5, backbone.depth=1.0: resnet18 has no fractions of width or depth; "
            "leave both at 1, as backbone=timm does",
        ),
        (
            (CPU, "backbone=elan", "backbone.variant=csp"),
            "backbone.variant=csp: elan has no such variant; the number of stacks in each stage",
        ),
        (
            (CPU, "backbone=resnet50", "backbone.pretrained=true", "backbone.weights=w.pth"),
            "backbone.weights=w.pth: give either pretrained or weights, not both",
        ),
        (
            (CPU, "backbone=elan", "backbone.pretrained=true"),
            "backbone.pretrained=True: elan has no published weights; give a file of weights",
        ),
    ],
)
def test_backbones_that_cannot_be(overrides, message):
    with pytest.raises(ConfigError, match=message):
        compose_config(overrides)


def test_every_scale_is_a_head_option():
    assert compose_config([CPU, "head=yolov8m"]).head.scale == "m"
    config = compose_config([CPU, "head=yolov5", "head.scale=x"])
    assert (config.head.name, config.head.scale) == ("yolov5", "x")


# The paper's sizes are 300 and 380; 288 and 384 are the nearest a detector of stride 32 can take.
@pytest.mark.parametrize(
    ("model", "size", "magnitude", "mixup", "dropout"),
    [("s", 288, 15, 0, 0.3), ("m", 384, 20, 0.2, 0.4), ("l", 384, 25, 0.4, 0.5)],
)
def test_paper_presets(model, size, magnitude, mixup, dropout):
    stages = compose_config([CPU, f"schedule=efficientnetv2_{model}"]).schedule().stages
    assert len(stages) == 4
    first, last = stages[0], stages[-1]
    assert (first.image_size, first.randaugment_magnitude, first.mixup) == (128, 5, 0)
    assert first.dropout_rate == 0.1
    assert (last.image_size, last.randaugment_magnitude) == (size, magnitude)
    assert (last.mixup, last.dropout_rate, last.drop_path_rate) == (mixup, dropout, 0.2)


def test_any_ultralytics_argument_passes_through():
    config = compose_config([CPU, "train.cos_lr=true", "train.lrf=0.1"])
    assert (config.train["cos_lr"], config.train["lrf"]) == (True, 0.1)


def test_ultralytics_defaults_are_read_without_importing_it():
    assert ultralytics_defaults()["nbs"] == 64


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["durations=[4,3,2,1]", "drop_path=[0,0.2]", "device=[0,1]", "head=yolov8x"],
        ["backbone=timm", "backbone.name=resnet18"],
        ["sizes=[64,96]", "durations_by=compute", "schedule=fast"],
        ["backbone=resnet50", "backbone.weights=somewhere/weights.pth", "data=2024"],
    ],
)
def test_yaml_round_trip(overrides, tmp_path):
    config = compose_config(overrides)
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert read_yaml(tmp_path / "config.yaml") == config


#: As written before `merge_batches` was a key and drop path a section.
EARLIER = """
task: detect
data: digits
stages: 2
epochs: 7
durations: [4, 3]
size: {min: 96, max: 192}
randaugment: {min: 0, max: 5}
mixup: {min: 0.0, max: 0.1}
dropout: {min: 0.0, max: 0.1}
drop_path: DROP_PATH
batch: 16
val_every: null
seed: 0
device: cpu
cache: null
workers: 0
backbone: {source: catalog, name: efficientnetv2_b0, width: 0.5, depth: 0.5, variant: null,
  pretrained: false, weights: null}
head: {name: yolov10, scale: n}
output: null
resume: null
dry_run: false
train: {optimizer: AdamW, nbs: 16}
"""


@pytest.mark.parametrize(("written", "rates"), [("0.2", (0.2, 0.2)), ("[0.0, 0.2]", (0, 0.2))])
def test_runs_of_earlier_versions_are_read_as_they_began(tmp_path, written, rates):
    file = tmp_path / "config.yaml"
    file.write_text(EARLIER.replace("DROP_PATH", written))
    config = read_yaml(file)
    assert config.merge_batches is False
    assert tuple(stage.drop_path_rate for stage in config.schedule().stages) == rates
    assert [stage.stop_epoch for stage in config.schedule().stages] == [4, 7]


def test_one_number_or_a_pair_stands_for_both_ends_of_drop_path():
    def rates(*overrides):
        stages = compose_config([CPU, *overrides]).schedule().stages
        return stages[0].drop_path_rate, stages[-1].drop_path_rate

    assert rates("drop_path=0.2") == (0.2, 0.2)
    assert rates("drop_path=0.1", "drop_path.max=2e-1") == (0.1, 0.2)
    assert rates("drop_path=[0,0.2]") == (0, 0.2)
    assert rates("drop_path.max=0.1") == (0, 0.1)
    assert rates("schedule=efficientnetv2_s", "drop_path.min=0.1") == (0.1, 0.2)


def test_a_knob_without_values_is_not_used():
    schedule = compose_config([CPU, "~mixup", "~dropout"]).schedule()
    assert not schedule.uses("mixup")
    assert not schedule.uses("dropout_rate")
    assert schedule.uses("randaugment_magnitude")


def test_a_knob_that_may_be_left_to_its_host():
    assert not compose_config([CPU]).schedule().uses("mosaic")
    # Also where a preset does not mention it.
    given = ("schedule=efficientnetv2_s", "mosaic.min=0", "mosaic.max=1")
    stages = compose_config([CPU, *given]).schedule().stages
    assert (stages[0].mosaic, stages[-1].mosaic) == (0, 1)


def test_a_row_in_the_table_of_knobs_is_enough():
    # In a process of its own, where the row is there before the configuration reads the table.
    code = """
from progressive import schedule

schedule.KNOBS += (schedule.Knob("glow", "glow", "glow", "how much; up to 2", 2.0, unused=None),)
schedule.ProgressiveSchedule.linear = lambda **given: print(given.get("glow", "left out"))

from progressive.config.command_line import compose_config
from progressive.config.help import help_text

for overrides in ([], ["~glow"], ["glow.min=0", "glow.max=2"], ["glow.max=2"], ["glow.min=0"],
                  ["glow.min=0", "glow.max=3"], ["glow.min=high", "glow.max=2"]):
    try:
        compose_config(["device=cpu", *overrides])
    except ValueError as error:
        print(error)
print("Glow in the first stage: how much; up to 2." in help_text())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "left out",
        "left out",
        "(0.0, 2.0)",
        "glow.min=null: must be a number too where glow.max is",
        "glow.max=null: must be a number too where glow.min is",
        "glow.max=3: must be a number in [0, 2]",
        "glow.min=high: must be a number in [0, 2]",
        "True",
    ], done.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.multi_scale=0.5"], "train.multi_scale=0.5: resizes batches at random"),
        (["train.rect=true"], "train.rect=True: fixes the shape of every batch"),
        (["train.time=1"], "train.time=1: changes .* or budget.minutes"),
        (["epochs=4", "train.nbs=9999", "train.warmup_epochs=0"], "ends before the optimizer"),
        (["train.mixup=0.5"], "train.mixup=0.5: the schedule sets mixup in every stage"),
        (
            ["backbone=resnet50", "backbone.weights=none.pth"],
            "backbone.weights=none.pth: no such file",
        ),
        (["data=no/such.yaml"], "no/such.yaml: data: does not exist"),
        (["device=7"], "device=7: torch finds"),
    ],
)
def test_what_is_checked_before_training(overrides, message):
    config = compose_config(["machine=cpu", *overrides])
    with pytest.raises(ValueError, match=message) as error:
        precheck(config)
    assert "\n" not in str(error.value)


def test_resume_takes_its_settings_from_the_run():
    with pytest.raises(ConfigError, match="schedule: cannot be changed by resume"):
        compose_config(["resume=somewhere", "schedule=fast"])
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir=.*: cannot be changed by resume"):
        compose_config(["resume=somewhere", "hydra.run.dir=elsewhere"])
    config = compose_config(["resume=.", "stages=3"])
    assert config.names_given == ("resume", "stages")  # compared once the run's own are known
    assert compose_config(["resume=true"]).resume == "true"
    assert compose_config(["resume=.", "workers=2"]).resume == "."


@pytest.mark.parametrize(
    ("overrides", "backbone", "epochs"),
    [
        (["machine=gpu", "device=cpu"], "efficientnetv2_s", 100),
        (["machine=cpu", "device=0"], "efficientnetv2_b0", 36),
        (["device=0"], "efficientnetv2_s", 100),
        (["device=0", "backbone=resnet50"], "resnet50", 100),
        (["device=0", "device=cpu"], "efficientnetv2_b0", 36),
    ],
)
def test_machine_follows_the_device_unless_it_is_named(overrides, backbone, epochs):
    config = compose_config(overrides)
    assert (config.backbone.name, config.epochs) == (backbone, epochs)


def test_every_key_is_explained_in_a_sentence():
    for name, field in keys(Config).items():
        assert field.description
        assert field.description.endswith("."), name


def test_what_a_run_keeps_for_itself_is_no_key():
    assert "extended" not in keys(Config)
    assert "  extended " not in help_text()
    with pytest.raises(ConfigError, match=r"^extended: is kept by resume; write resume=FOLDER"):
        compose_config([CPU, "+extended=[3]"])
    with pytest.raises(ConfigError, match=r"^extended: unknown key; "):
        compose_config([CPU, "extended=[3]"])


def test_a_configuration_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        compose_config([CPU]).epochs = 3
