from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from progressive.errors import ConfigError, InputError
from progressive.runs.folders import check_output, claim, find_run


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


def fail(output, *written):
    """Claim a folder, write empty files into it and fail as on a full disk."""
    with claim(str(output)) as folder:
        (folder / "weights").mkdir()
        for name in written:
            (folder / name).touch()
        raise OSError("full")


def test_what_fails_before_it_trains_leaves_nothing(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(OSError, match="full"):
        fail(folder, "plan.json")
    assert not folder.exists()
    assert claimed(str(folder)) == folder


def test_hidden_files_of_the_user_stay_where_a_run_failed(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".mine").touch()
    with pytest.raises(InputError), claim(str(tmp_path / "run")):
        raise InputError("bad")
    assert (tmp_path / "run" / ".mine").exists()


def test_a_folder_of_the_user_stays_where_a_run_failed(tmp_path):
    (tmp_path / ".hydra").mkdir()
    with pytest.raises(OSError, match="full"):
        fail(tmp_path, "plan.json")
    assert list(tmp_path.iterdir()) == [tmp_path / ".hydra"]


@pytest.mark.parametrize("kept", ["weights/last.pt", "epochs.csv", "nan-epoch-00001.safetensors"])
def test_what_was_trained_stays(tmp_path, kept):
    folder = tmp_path / "run"
    with pytest.raises(OSError, match="full"):
        fail(folder, kept)
    assert (folder / kept).exists()


def test_a_run_that_was_killed_before_it_trained_is_started_again(tmp_path):
    folder = tmp_path / "run"
    with suppress(SystemExit), claim(str(folder)) as begun:  # which, as a kill, cleans nothing up
        (begun / "plan.json").write_text("{}")
        (begun / "weights").mkdir()
        raise SystemExit
    assert (folder / "plan.json").exists()
    assert claimed(str(folder)) == folder
    with pytest.raises(ConfigError, match="is not empty"):  # it has ended by now
        claimed(str(folder))


@pytest.mark.parametrize("inner", ["", "inside"])
def test_a_link_that_loops(tmp_path, inner):
    (tmp_path / "loop").symlink_to("loop")
    place = str(tmp_path / "loop" / inner)
    for use in (claimed, check_output):
        with pytest.raises(ConfigError, match=f"output={place}: a link that loops"):
            use(place)
    with pytest.raises(ConfigError, match=f"resume={place}: a link that loops"):
        find_run(place)


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
