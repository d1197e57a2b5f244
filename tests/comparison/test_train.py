"""What plain Ultralytics is given for the arm `stock`; that it trains is in `test_compare`."""

from progressive.comparison.train import stock_schedule, stock_settings, train_arguments
from progressive.config.command_line import compose_config
from progressive.schedule import KNOBS

OVERRIDES = (
    *("device=cpu", "stages=1", "epochs=7", "size.max=128", "batch=8", "train.cos_lr=true"),
    *("train.nbs=32", "seed=4"),
)


def test_stock_gets_what_the_user_set_and_nothing_of_conf_machine():
    config = compose_config(OVERRIDES)
    assert config.train["optimizer"] == "AdamW"  # of conf/machine/cpu.yaml
    stock = train_arguments("stock", stock_settings(config, OVERRIDES, "stock"))
    assert stock == {
        **{"cos_lr": True, "nbs": 32, "epochs": 7, "imgsz": 128, "batch": 8, "seed": 4},
        **{"device": "cpu", "cache": False, "workers": 0},
        "fliplr": 0.0,  # a mirrored digit is not a digit
    }


def test_multi_scale_gets_what_our_trainer_gets():
    config = stock_settings(compose_config(OVERRIDES), OVERRIDES, "multi_scale")
    ours = train_arguments("multi_scale", config)
    assert (ours["optimizer"], ours["mosaic"], ours["deterministic"]) == ("AdamW", 0.0, False)
    assert "imgsz" not in ours  # the callback sets it


def test_stock_has_one_stage_and_no_knob():
    schedule = stock_schedule(compose_config([*OVERRIDES, "mixup.max=0.3"]))
    assert [(s.image_size, s.stop_epoch) for s in schedule.stages] == [(128, 7)]
    assert {knob.of(schedule.stages[0]) for knob in KNOBS} <= {0.0, None}
