"""What README.md and the pages say of commands and hosts is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from ultralytics import YOLO

from progressive.config.command_line import compose_config, hydra_arguments
from progressive.config.comparing import read_request
from progressive.errors import InputError
from progressive.run import run
from progressive.schedule import ProgressiveSchedule

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(module):
    """Return the arguments of every command of the pages that runs a module, without comments."""
    found = {
        line
        for page in PAGES
        for block in re.findall(r"^```bash\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if line.startswith(f"python -m {module} ")
    }
    return [shlex.split(line, comments=True)[3:] for line in sorted(found)]


@pytest.fixture
def folder(tiny_data, tmp_path, monkeypatch):
    """The files that commands name, where they name them."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "path" / "to"
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (place / "folder" / split / name).mkdir(parents=True)
    (place / "data.yaml").write_text(tiny_data.read_text())
    (tmp_path / "my_conf" / "schedule").mkdir(parents=True)
    (tmp_path / "my_conf" / "schedule" / "mine.yaml").write_text("# @package _global_\nstages: 2\n")
    YOLO("yolo11n.yaml").save("yolo11n.pt")
    return tmp_path


def test_every_command_composes(folder):
    seen = 0
    for arguments in commands("progressive.run"):
        options = {"-m", "--help", "--config-dir"} & set(arguments)
        if options == {"--help"} or any("resume=" in argument for argument in arguments):
            continue
        if options:  # Hydra's own: its parser takes them
            assert hydra_arguments(arguments)
        else:
            compose_config([*arguments, "device=cpu"])
        seen += 1
    assert seen >= 8
    for arguments in commands("progressive.compare"):
        assert "--help" in arguments or read_request([*arguments, "device=cpu"]).arms


def test_the_first_example_is_the_model_people_have():
    first = re.search(r"^python -m progressive\.run (.*)$", (ROOT / "README.md").read_text(), re.M)
    assert first[1].startswith("model=yolo11n.pt data=path/to/data.yaml size.min=320 size.max=640")


def test_the_plan_is_the_one_that_is_printed(folder, capsys):
    run(compose_config(["dry_run=true", "device=cpu"]))
    plan = capsys.readouterr().out.partition("\n\n")[2].strip()
    table, _, rest = plan.partition("\nPixel cost")
    assert f"{table}\n\nPixel cost{rest}\n" in (ROOT / "README.md").read_text()


def test_hugging_face_models_have_no_drop_path_to_set():
    transformers = pytest.importorskip("transformers")
    from progressive.hosts.pytorch import apply_schedule

    config = transformers.YolosConfig(
        image_size=(32, 32),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_detection_tokens=2,
        use_mid_position_embeddings=False,
    )
    schedule = ProgressiveSchedule.fixed(epochs=1, image_size=32, drop_path=0.1)
    with pytest.raises(InputError, match="no stochastic depth"):
        apply_schedule(transformers.YolosForObjectDetection(config), schedule, schedule.at(0))
