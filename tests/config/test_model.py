import pytest

from progressive.config.command_line import compose_config
from progressive.config.keys import KEYS, ultralytics_defaults
from progressive.config.model import to_yaml, validate
from progressive.errors import ConfigError

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
        ("stages=40", "stages=40: must not be above epochs=36"),
        ("size.min=300", "size.min=300: must not be above size.max=192"),
        (
            "size.max=300",
            "size.max=300: must be a multiple of the detector's stride 32, such as 288",
        ),
        ("size.min=16", "size.min=16: must be an integer of at least 32"),
        ("mixup.max=2", r"mixup.max=2: must be a number in \[0, 1\]"),
        ("mixup.min=0.5", "mixup.min=0.5: must not be above mixup.max"),
        ("dropout.max=1", r"dropout.max=1: must be a number in \[0, 1\)"),
        ("randaugment.max=99", r"randaugment.max=99: must be a number in \[0, 30\]"),
        ("randaugment.max=nan", "randaugment.max=nan: must be a number"),
        ("drop_path=1", "drop_path=1: must be a number"),
        ("drop_path=[0.2,0.1]", "min must not be above max"),
        ("durations=[1,2]", "must have one weight per stage"),
        ("durations=4", "durations=4: must be a list of positive numbers"),
        ("batch=0", "batch=0: must be an integer of at least 1"),
        ("seed=-1", "seed=-1: must be an integer of at least 0"),
        ("device=gpu", "device=gpu: must be cpu, mps, a GPU such as 0"),
        ("device=[0,0]", "names a GPU twice"),
        ("backbone=efficientnetv2_x", "backbone=efficientnetv2_x: did you mean efficientnetv2_"),
        ("backbone.width=0", r"backbone.width=0: must be a number in \(0, 1\]"),
        ("backbone.pretrained=1", "backbone.pretrained=1: must be true or false"),
        ("backbone.pretrained=true", "needs a whole backbone, not width 0.5"),
        ("backbone.name=resnet1", "backbone.name=resnet1: did you mean resnet1?52"),
        ("backbone.name=resnet50", "backbone.width=0.5, backbone.depth=0.5: must both be 1, since"),
        ("backbone=timm", "backbone.name: missing; give the name of a timm model"),
        ("backbone.weights=none.pth", "backbone.weights=none.pth: no such file"),
        ("backbone.weights=weights.zip", "must be a file ending in .safetensors"),
        ("head=yolov10q", "head=yolov10q: did you mean yolov10"),
        ("head.scale=q", "head.scale=q: yolov10 comes as n, s, m, b, l, x"),
        ("schedule=efficientnet_s", "schedule=efficientnet_s: did you mean efficientnetv2_s?"),
        ("train.lrr0=1", "train.lrr0: unknown argument; did you mean train.lr0?"),
        ("train.lr0=fast", "train.lr0=fast: must be a number, such as 0.01"),
        ("train.cos_lr=2", "train.cos_lr=2: must be true or false"),
        ("train.epochs=3", "train.epochs=3: use epochs instead"),
        ("train.imgsz=3", "train.imgsz=3: use size.max instead"),
        ("cache=ram", "cache=ram: keeps images at the size"),
        ("cache=true", "cache=True: keeps images at the size"),
        ("backbone.variant=3", "backbone.variant=3: efficientnetv2_b0 has none, only prn, csp"),
        ("cache=dsk", "cache=dsk: did you mean disk?"),
        ("train.cache=disk", "train.cache=disk: use cache instead"),
        ("train.multi_scale=0.5", "train.multi_scale=0.5: resizes batches at random"),
        ("train.rect=true", "train.rect=True: fixes the shape of every batch"),
        ("train.time=1", "train.time=1: changes the number of epochs"),
        ("stages=[1", r"stages=\[1: not an override"),
        ("stages", "stages: not an override; write KEY=VALUE"),
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
        ((*TIMM, "backbone.name=resnet18", "backbone.width=0.5"), "resnet18 cannot be scaled"),
        (
            (CPU, "backbone=elan", "backbone.pretrained=true"),
            "backbone.pretrained=True: nobody publishes weights of elan",
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
    ],
)
def test_yaml_round_trip(overrides):
    import yaml

    config = compose_config(overrides)
    assert validate(yaml.safe_load(to_yaml(config))) == config


def test_resume_takes_its_settings_from_the_run():
    with pytest.raises(ConfigError, match="stages: cannot be changed by resume"):
        compose_config(["resume=somewhere", "stages=3"])
    assert compose_config(["resume=somewhere", "workers=2"]).resume == "somewhere"


def test_every_key_is_explained_in_a_sentence():
    for name, key in KEYS.items():
        assert key.help.endswith("."), name
