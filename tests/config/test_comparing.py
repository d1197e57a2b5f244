"""Keys and arms of a comparison, as written on the command line."""

import pytest

from progressive.config.comparing import (
    Request,
    key_of,
    quoted_arm,
    read_request,
    split_at_commas,
    written,
)
from progressive.config.options import conf_dir
from progressive.errors import ConfigError
from progressive.schedule import KNOBS

CPU = ("device=cpu", "stages=4", "epochs=40", "size.min=96", "size.max=192")


def request(*arguments) -> Request:
    return read_request([*CPU, *arguments])


def test_defaults():
    found = request()
    assert found.comparison.seeds == (0, 1, 2)
    assert found.comparison.arms == ("stock", "fixed", "progressive")
    assert (found.comparison.baseline, found.comparison.margin) == ("fixed", 0.005)
    assert request("arms=[stock,progressive]").comparison.baseline == "stock"


def test_arms_of_ours_follow_the_configuration():
    # Sizes 96, 128, 160, 192 for a quarter of the epochs each cost (9 + 16 + 25 + 36) / 144 =
    # 0.597 of full size: 24 epochs, or the size 192 * sqrt(0.597) = 148, nearest 160.
    arms = "arms=[fixed_small,fixed_short,size_only,multi_scale]"
    found = request(arms, "durations=null", "mixup.max=0.3")
    assert found.arms["fixed_small"][3:] == ("size.min=160", "size.max=160")
    assert found.arms["fixed_short"] == (
        *("stages=1", "durations=null", "sizes=null", "size.min=96", "size.max=192", "epochs=24"),
    )
    assert "mixup.min=0.3" in found.arms["size_only"]
    assert "mosaic.min=null" in found.arms["size_only"]
    assert found.arms["multi_scale"][0] == "trainer=multi_scale"


def test_full_size_is_the_last_of_a_list():
    found = request("sizes=[32,64,96]", "arms=[fixed,stock,progressive]")
    assert found.arms["fixed"][2:] == ("sizes=null", "size.min=32", "size.max=96")
    assert found.base.schedule().image_size == 96


def test_size_only_keeps_every_knob():
    text = (conf_dir() / "arm" / "size_only.yaml").read_text()
    assert [knob.key for knob in KNOBS if f"{knob.key}.min=${{{knob.key}.max}}" not in text] == []


def test_an_arm_of_the_users_own_joins_the_others():
    found = request("+arm.short=[durations=[4,3,2,1],size.min=128]", "arms=[fixed]")
    assert found.comparison.arms == ("fixed", "short")
    assert found.arms["short"] == ("durations=[4,3,2,1]", "size.min=128")
    listed = request("+arm.short=[epochs=3]", "arms=[short,fixed]", "baseline=short")
    assert listed.comparison.arms == ("short", "fixed")


def test_what_runs_get_leaves_out_what_a_comparison_sets():
    found = request("output=a", "dry_run=true", "train.plots=false", "margin=0.01", "seeds=[3,4]")
    assert found.overrides == (*CPU[1:], "train.plots=false")
    assert (found.base.output, found.base.dry_run) == ("a", True)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a=[1,2],b=3", ["a=[1,2]", "b=3"]),
        ("a={x:1,y:[2,3]}, b='c,d'", ["a={x:1,y:[2,3]}", "b='c,d'"]),
        ("", []),
    ],
)
def test_commas_inside_of_brackets_do_not_split(text, parts):
    assert split_at_commas(text) == parts


def test_quoting():
    assert quoted_arm("+arm.a=[b=[1,2],'c=3']") == "++arm.a=['b=[1,2]','c=3']"
    assert written("output", "/runs/a-1") == "output=/runs/a-1"
    assert written("output", "/it's, here") == r"output='/it\'s, here'"
    assert [key_of(o) for o in ("+a.b=1", "~c", "++arm.d=[e=1]", "f@g=h")] == [
        *("a.b", "c", "arm.d", "f")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["arms=[fixd,stock]"], "arms: fixd: no such arm; did you mean fixed?"),
        (["arms=[nope]"], "arms: nope: no such arm; must be one of"),
        (["arms=[fixed]"], "arms=[fixed]: needs two arms at least"),
        (["arms=[fixed,fixed]"], "arms=[fixed,fixed]: names one twice"),
        (["arms=fixed"], "arms=fixed: must be a list of arms"),
        (["seeds=[]"], "seeds=[]: must be a list of integers"),
        (["seeds=[0,0]"], "seeds=[0,0]: names one twice"),
        (["seeds=3"], "seeds=3: must be a list of integers"),
        (["seeds=range(3)"], "seeds=range(3): must be a list, as seeds=[0,1,2]"),
        (["seeds=0,1"], "seeds=0,1: must be a list, as seeds=[0,1,2]"),
        (["arms=stock,fixed"], "arms=stock,fixed: must be a list, as arms=[fixed,progressive]"),
        (["margin=0.1,0.2"], "margin=0.1,0.2: must be one value"),
        (["hydra.searchpath=[file:///nowhere]"], "hydra.searchpath: /nowhere: no such folder"),
        (["seed=3"], "seed=3: a comparison has several; write seeds=[0,1,2]"),
        (["resume=a"], "resume=a: a comparison goes on in its folder"),
        (["margin=0"], "margin=0: must be a number in (0, 1)"),
        (["baseline=fixd"], "baseline=fixd: did you mean fixed?"),
        (["sedes=[0]"], "sedes: unknown key"),
        (["--cfg"], "--cfg: unknown option"),
        (["hydra.run.dir=a"], "hydra.run.dir=a: a comparison is no job of Hydra"),
        (["+arm.x=size"], "+arm.x=size: write '+arm.NAME=[KEY=VALUE,KEY=VALUE]'"),
        (["+arm.x=[probe=true]"], "arm x: probe=true: arms would be timed differently"),
        (["+arm.report=[batch=2]"], "arm report: the report of a comparison has this name"),
        (["budget.minutes=1"], "budget.minutes=1: arms would be timed differently; leave it out"),
        (["probe=true"], "probe=true: arms would be timed differently"),
        (["train={fliplr: 0.1}"], "train={fliplr: 0.1}: write train.KEY=VALUE, so that stock"),
        (["+arm.x=[data=a]"], "arm x: data=a: must be the same for all arms"),
        (["+arm.x=[trainer=mine]"], "arm x: trainer=mine: must be one of"),
        (["+arm.x=[size.min=${nothing}]"], "arm: Interpolation key 'nothing' not found"),
        (["epochs=1,2"], "Ambiguous value for argument 'epochs=1,2'"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    with pytest.raises(ConfigError) as error:
        request(*arguments)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
