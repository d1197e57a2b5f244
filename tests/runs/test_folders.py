from concurrent.futures import ThreadPoolExecutor

import pytest

from progressive.errors import ConfigError
from progressive.runs.folders import claim, find_run


def claimed(output):
    with claim(output) as folder:
        return folder


def test_runs_started_together_never_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: claimed(None), range(16)))
    assert len(set(folders)) == 16
    assert all(folder.parent == tmp_path / "runs" for folder in folders)


def test_output_is_the_run_folder_itself(tmp_path):
    assert claimed(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(ConfigError, match="is not empty"):
        claimed(str(tmp_path))
    assert (tmp_path / "summary.json").read_text() == "{}"


def test_output_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="output="):
        claimed(str(tmp_path / "taken"))


def test_hidden_files_do_not_count(tmp_path):
    (tmp_path / ".hydra").mkdir()
    assert claimed(str(tmp_path)) == tmp_path


@pytest.fixture
def interrupted(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "last.pt").write_bytes(b"")
    (tmp_path / "config.yaml").write_text("epochs: 7")
    return tmp_path


@pytest.mark.parametrize("name", ["", "weights/last.pt"])
def test_an_interrupted_run_is_found_by_its_folder_or_checkpoint(interrupted, name):
    assert find_run(str(interrupted / name)) == interrupted


@pytest.mark.parametrize(
    ("remove", "write", "message"),
    [
        ("weights/last.pt", None, "has no checkpoint"),
        (None, "summary.json", "is finished"),
    ],
)
def test_what_is_missing_is_said(interrupted, remove, write, message):
    if remove:
        (interrupted / remove).unlink()
    if write:
        (interrupted / write).write_text("")
    with pytest.raises(ConfigError, match=f"resume=.*: {message}"):
        find_run(str(interrupted))
