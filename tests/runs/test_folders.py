import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest

from progressive.config.command_line import compose_config
from progressive.config.model import to_yaml
from progressive.errors import ConfigError
from progressive.runs.folders import claim, find_run


def test_runs_started_together_never_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: claim(None), range(16)))
    assert len(set(folders)) == 16
    assert all(folder.parent == tmp_path / "runs" for folder in folders)


def test_output_is_the_run_folder_itself(tmp_path):
    assert claim(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(ConfigError, match="is not empty"):
        claim(str(tmp_path))
    assert (tmp_path / "summary.json").read_text() == "{}"


def test_output_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="output="):
        claim(str(tmp_path / "taken"))


@pytest.fixture
def interrupted(tmp_path):
    config = compose_config(["epochs=7", "device=cpu"])
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "last.pt").write_bytes(b"")
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    return tmp_path


@pytest.mark.parametrize("name", ["", "weights/last.pt"])
def test_resume_finds_settings_and_checkpoint(interrupted, name):
    asked = compose_config([f"resume={interrupted / name}", "workers=3"])
    config, checkpoint = find_run(asked)
    assert (config.epochs, config.workers, config.resume) == (7, 3, None)
    assert checkpoint == interrupted / "weights" / "last.pt"


@pytest.mark.parametrize(
    ("remove", "write", "message"),
    [
        ("weights/last.pt", None, "has no weights/last.pt"),
        ("config.yaml", None, "not a run of this program"),
        (None, ("summary.json", "{}"), "is finished"),
        (None, ("config.yaml", "epochs: 0"), "config.yaml: task: missing"),
        (None, ("config.yaml", "[1"), "config.yaml"),
        (None, ("config.yaml", "- 1"), "config.yaml"),
    ],
)
def test_resume_says_what_is_missing(interrupted, remove, write, message):
    if remove:
        (interrupted / remove).unlink()
    if write:
        (interrupted / write[0]).write_text(write[1])
    asked = dataclasses.replace(compose_config(["device=cpu"]), resume=str(interrupted))
    with pytest.raises(ConfigError, match=message):
        find_run(asked)


def test_runs_of_earlier_versions_resume_as_they_began(interrupted):
    settings = interrupted / "config.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("merge_batches: true\n", ""))
    assert settings.read_text() != text
    config, _ = find_run(compose_config([f"resume={interrupted}"]))
    assert config.merge_batches is False
