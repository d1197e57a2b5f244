from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from progressive.config.complaints import keys
from progressive.errors import ConfigError
from progressive.gradients import command as gradients


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROGRESSIVE_CACHE", str(tmp_path / "cache"))

    def call(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["gradients", *arguments])
        gradients.main()

    return call


def test_command_prints_a_table_and_draws_a_picture(command, capsys):
    command("backbone=elan", "stop=block", "backbone.depth=0.5")
    printed = capsys.readouterr().out
    assert printed.startswith("elan, depth 0.5, gradient stopped on each block\n")
    rows = [line.split("|")[1:5] for line in printed.splitlines() if line.startswith("| stride 8")]
    assert [[cell.strip() for cell in row] for row in rows] == [["stride 8", "8", "1-4", "1-4"]]
    assert "Picture: gradients-elan-depth-0.5-stop-block.png" in printed
    assert Path("gradients-elan-depth-0.5-stop-block.png").read_bytes().startswith(b"\x89PNG")


def test_command_prints_json_and_nothing_else(command, capsys):
    command("backbone=timm:resnet18", "json=true", "output=paths.svg")
    found = json.loads(capsys.readouterr().out)
    assert [stage["stride"] for stage in found["stages"]] == [2, 4, 8, 16, 32]
    assert found["network"]["layers"] == len(found["layers"]) == 20
    assert found["layers"][0]["name"] == "body.conv1"
    assert Path("paths.svg").read_text().startswith("<?xml")
    command("backbone=timm:resnet18", "json=true", "output=null")
    assert [path.name for path in Path().glob("*.*")] == ["paths.svg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "backbone: missing; give backbone=VALUE"),
        (("elan",), "elan: not an override; write KEY=VALUE"),
        (("backbne=elan",), "backbne: unknown key; did you mean backbone?"),
        (("backbone=elan", "stop=identiti"), "stop=identiti: did you mean identity?"),
        (("backbone=elan", "backbone.depth=0"), "backbone.depth=0: must be a number in (0, 1]"),
        (("backbone=timm",), "backbone=timm: give backbone.name=NAME, a timm model"),
        (
            ("backbone=elan", "backbone.name=resnet18"),
            "backbone.name=resnet18: goes with backbone=timm, not elan",
        ),
        (("backbone=elan", "json=1"), "json=1: must be true or false"),
        (("backbone=[elan",), "backbone=[elan: not a value that can be read"),
        (("backbone=2026-13-01",), "backbone=2026-13-01: not a value that can be read"),
    ],
)
def test_mistakes_in_arguments(arguments, message):
    with pytest.raises(ConfigError) as error:
        gradients.parse(arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backbone=elam",), "backbone=elam: did you mean elan?"),
        (("backbone=timm:resnet500",), "backbone=timm:resnet500: timm has no model 'resnet500'"),
        (("backbone=timm:vit_tiny_patch16_224",), "8, 16 and 32 are needed"),
        (("backbone=resnet50", "backbone.depth=0.5"), "resnet50 has no fractions of width or"),
        (("backbone=resnet50", "backbone.variant=2"), "only the gradient-path designs have"),
        (("backbone=elan", "backbone.variant=[2]"), "variant=[2]: elan has no such variant"),
        (("backbone=resnet50", "stop=block"), "stop=block: only the gradient-path designs can"),
        (("backbone=elan", "output=paths.gif"), "output=paths.gif: must end in .png, .svg or .pdf"),
        (("backbone=elan", "output=no/paths.png"), "output=no/paths.png: no such folder"),
    ],
)
def test_mistakes_that_a_backbone_makes(command, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("progressive: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(Path().glob("*.png"))


def test_mistakes_are_told_before_torch_is_loaded(tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "progressive.gradients", "backbone=elan", "x=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("progressive: x: unknown key; ")
    assert " torch\n" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_spelling_of_timm_models_in_progressive_run_is_understood():
    found = gradients.parse(["backbone=timm", "backbone.name=resnet18"])
    assert (found.name, str(found.picture)) == ("timm:resnet18", "gradients-timm-resnet18.png")


def test_help_explains_every_key(command, capsys):
    command("--help")
    printed = capsys.readouterr().out
    for name, field in keys(gradients.Arguments).items():
        assert f"  {name} " in printed
        assert field.description in printed
