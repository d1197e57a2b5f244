"""What is checked, and what is taken over, before an interrupted run goes on."""

from __future__ import annotations

import pytest

from progressive.config.command_line import compose_config
from progressive.config.model import to_yaml
from progressive.errors import ConfigError
from progressive.run import precheck, run


@pytest.fixture
def interrupted(tmp_path):
    """Return what makes the folder of an interrupted run, from overrides or a whole config.yaml."""

    def make(*overrides, text=None):
        config = text if text is not None else to_yaml(compose_config(["device=cpu", *overrides]))
        folder = tmp_path / "run"
        (folder / "weights").mkdir(parents=True)
        (folder / "weights" / "last.pt").write_bytes(b"")
        (folder / "config.yaml").write_text(config)
        return folder

    return make


def test_settings_are_those_the_run_began_with(interrupted, capsys):
    folder = interrupted("epochs=7", "stages=1", "batch=3")
    assert run(compose_config([f"resume={folder}", "dry_run=true"])) is None
    assert "batch 3\n" in capsys.readouterr().out


def test_weights_that_have_moved_are_not_missed(interrupted, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.touch()
    folder = interrupted("backbone=resnet50", f"backbone.weights={weights}")
    weights.unlink()
    precheck(compose_config([f"resume={folder}"]))
    fresh = compose_config(["device=cpu", "backbone=resnet50", f"backbone.weights={weights}"])
    with pytest.raises(ConfigError, match=r"backbone\.weights=.*weights\.pth: no such file"):
        precheck(fresh)


def test_a_run_without_later_keys_goes_on(interrupted):
    config = to_yaml(compose_config(["device=cpu"]))
    earlier = config.replace("merge_batches: true\n", "")
    assert earlier != config
    precheck(compose_config([f"resume={interrupted(text=earlier)}"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 0", "config.yaml: task: missing; give task=VALUE"),
        ("[1", "config.yaml: "),
        ("- 1", r"config.yaml: \[1\]: must be a mapping"),
        ("", "config.yaml: None: must be a mapping"),
    ],
)
def test_settings_that_cannot_be_read(interrupted, text, message):
    with pytest.raises(ConfigError, match=message) as error:
        precheck(compose_config([f"resume={interrupted(text=text)}"]))
    assert "\n" not in str(error.value)
