from __future__ import annotations

import shutil

from progressive.runs.fingerprint import fingerprint


def write(folder, contents):
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [folder / name for name in contents]


def test_the_same_files_elsewhere_and_in_another_order_are_the_same(tmp_path):
    files = write(tmp_path / "a", {"cat/1.png": "one", "dog/1.png": "two"})
    found = fingerprint(files)
    assert (found["files"], found["bytes"], found["sampled"]) == (2, 6, False)
    assert len(found["hash"]) == 32
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert fingerprint([tmp_path / "b/dog/1.png", str(tmp_path / "b/cat/1.png")]) == found


def test_contents_names_and_folders_count(tmp_path):
    names = [
        {"cat/1.png": "one", "dog/1.png": "two"},
        {"cat/1.png": "one", "dog/1.png": "TWO"},
        {"cat/1.png": "one", "dog/2.png": "two"},
        {"cat/1.png": "one", "fox/1.png": "two"},
        {"cat/1.png": "one"},
    ]
    found = {fingerprint(write(tmp_path / f"{n}", each))["hash"] for n, each in enumerate(names)}
    assert len(found) == len(names)


def test_labels_that_are_not_there_are_left_out(tmp_path):
    files = write(tmp_path, {"1.txt": "0 1", "2.txt": ""})
    assert fingerprint([*files, tmp_path / "3.txt"]) == fingerprint(files)
    assert fingerprint([])["files"] == 0


def test_of_many_files_some_are_read(tmp_path):
    files = write(tmp_path, {f"{n:03}.txt": f"{n}" for n in range(100)})
    found = fingerprint(files, limit=5)
    assert (found["files"], found["sampled"]) == (100, True)
    assert found["bytes"] == len("0") + len("25") + len("50") + len("74") + len("99")
    (tmp_path / "010.txt").write_text("changed")
    assert fingerprint(files, limit=5) == found
    (tmp_path / "099.txt").write_text("changed")
    assert fingerprint(files, limit=5)["hash"] != found["hash"]
