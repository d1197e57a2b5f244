"""Keys that say how stages are cut and how the learning rate falls."""

import pytest

from progressive.config.command_line import compose_config
from progressive.config.fitting import fitting_schedule
from progressive.errors import ConfigError
from progressive.schedule import KNOBS

CPU = "device=cpu"


def test_a_list_of_sizes_says_how_many_stages_there_are():
    config = compose_config([CPU, "epochs=8", "sizes=[64,128,256]", "durations=[2,1,1]"])
    stages = config.schedule().stages
    assert [(stage.image_size, stage.epochs) for stage in stages] == [(64, 4), (128, 2), (256, 2)]
    assert (config.stages, config.size.min, config.size.max) == (3, 64, 256)


@pytest.mark.parametrize(
    ("overrides", "lengths"),
    [
        (("epochs=40",), [16, 12, 8, 4]),
        (("epochs=40", "durations=null"), [10, 10, 10, 10]),
        (("epochs=48", "durations=null", "durations_by=compute"), [22, 13, 7, 6]),
        (("epochs=40", "durations=[1,1,1,2]"), [8, 8, 8, 16]),
        (("epochs=12", "sizes=[64,96,128]"), [6, 4, 2]),
        (("epochs=12", "stages=1"), [12]),
        (("epochs=4",), [1, 1, 1, 1]),
        (("epochs=40", "schedule=default"), [10, 10, 10, 10]),
        (("epochs=40", "schedule=finetune"), [16, 12, 8, 4]),
    ],
)
def test_early_stages_are_longer_unless_told_otherwise(overrides, lengths):
    config = compose_config([CPU, "stages=4", "size.min=96", "size.max=192", *overrides])
    assert [stage.epochs for stage in config.schedule().stages] == lengths


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sizes=[]", "sizes"),
        ("sizes=[64,100]", "sizes=[64, 100]: 100 is no multiple of the stride 32"),
        ("sizes=[128,64]", "sizes=[128, 64]: must not fall"),
        ("sizes=[16,64]", "sizes=[16, 64]: must be a list of integers of at least 32 and at most"),
        ("sizes=64", "sizes=64: "),
        ("sizes=[a]", "sizes=['a']: must be a list of integers of at least 32"),
        ("sizes=[128,20000]", "sizes=[128, 20000]: must be a list of integers of at least 32"),
        ("lr_by=time", "lr_by=time: must be one of compute, epochs"),
        ("levels_by=size", "levels_by=size: must be one of final, stage"),
        ("durations_by=pixels", "durations_by=pixels: must be one of compute, epochs"),
    ],
)
def test_bad_keys_of_a_schedule_are_one_line(override, message):
    with pytest.raises(ConfigError) as error:
        compose_config([CPU, override])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_presets_of_the_paper_keep_its_learning_rate_and_levels():
    for paper in ("default", "efficientnetv2_s"):
        config = compose_config([CPU, f"schedule={paper}"])
        assert (config.lr_by, config.levels_by) == ("epochs", "stage")
    for ours in ("fast", "finetune"):
        config = compose_config([CPU, f"schedule={ours}"])
        assert (config.lr_by, config.levels_by) == ("compute", "final")


def uses_a_knob(*overrides):
    schedule = compose_config([CPU, *overrides]).schedule()
    return any(schedule.uses(knob.name) for knob in KNOBS)


@pytest.mark.parametrize(
    ("override", "schedule"),
    [
        ("backbone.pretrained=true", "finetune"),
        ("backbone.pretrained=false", "fast"),
        ("backbone.pretrained=true,false", "fast"),
        ("backbone.weights=lite0.pth", "finetune"),
        ("backbone.weights=null", "fast"),
        ("model=yolov8n.pt", "finetune"),
        ("+model='yolov8n.pt'", "finetune"),
        ("model=yolov8n.pt,yolov8s.pt", "finetune"),
        ("model=yolov8n.pt,yolov8n.yaml", "fast"),
        ("backbone.weights=[", "fast"),
        ("model=yolov8n.yaml", "fast"),
        ("~backbone.weights", "fast"),
    ],
)
def test_weights_choose_the_schedule(override, schedule):
    assert fitting_schedule(["device=cpu", override]) == schedule


def test_training_from_weights_is_regularised_only_if_asked():
    weights = ("backbone=efficientnet_lite0", "backbone.pretrained=true")
    config = compose_config([CPU, *weights])
    assert config.starts_from_weights
    assert config.lr_by == "compute"
    assert not uses_a_knob(*weights)
    assert uses_a_knob(*weights, "mixup.max=0.1")
    assert uses_a_knob(*weights, "schedule=fast")


def test_training_from_nothing_is_regularised():
    assert uses_a_knob()
