"""`python -m progressive.report`, in processes of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from progressive.report import main


def test_a_report_is_rebuilt_without_torch(make_run, tmp_path):
    folder = make_run(tmp_path / "run")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'ultralytics', 'timm')));"
        f"from progressive.report import main; main([{str(folder)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"Report: {folder / 'report.html'}\n"
    assert done.stderr == ""


def test_several_runs_give_a_comparison(make_run, tmp_path, monkeypatch, capsys):
    folders = [make_run(tmp_path / name, pictures=False, stages=stages)
               for name, stages in (("a", 3), ("b/0", 1))]  # fmt: skip
    before = sorted(folders[0].iterdir())
    monkeypatch.chdir(tmp_path)
    main([str(folders[0]), "b"])
    assert "comparison/report.html" in capsys.readouterr().out
    page = (tmp_path / "comparison" / "report.html").read_text()
    assert "the baseline is size.min=64 stages=3" in page  # the first one given
    main([str(folders[0]), "b", "--output", "elsewhere"])
    assert (tmp_path / "elsewhere" / "report.html").is_file()
    assert sorted(folders[0].iterdir()) == before


def test_a_baseline_is_drawn_beside_a_run(make_run, tmp_path):
    run = make_run(tmp_path / "staged", pictures=False)
    baseline = make_run(tmp_path / "fixed", pictures=False, stages=1)
    main([str(run), "--baseline", str(baseline)])
    assert "The dashed line is fixed." in (run / "report.html").read_text()
    assert not (baseline / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: no such folder"),
        (["."], "there are no runs"),
        (["run", "missing"], "missing: no such folder"),
        (["run", "empty"], "empty: has no plan.json"),
        (["run/plan.json"], "plan.json: no such folder"),
        (["run", "run"], "is the only run named; a comparison needs two"),
        (["run", "--output", "elsewhere"], "--output elsewhere: goes with several folders"),
        (["run", "--baseline", "missing"], "missing: no such folder"),
        (["run", "run", "--baseline", "run"], "goes with the folder of one run"),
        ([], "the following arguments are required: FOLDER; see --help"),
        (["--colour"], "see --help"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    make_run, tmp_path, monkeypatch, capsys, arguments, message
):
    (tmp_path / "here" / "empty").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    if "." not in arguments:
        make_run(tmp_path / "here" / "run", pictures=False)
    before = sorted((tmp_path / "here").rglob("*"))
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("progressive: ")
    assert error.count("\n") == 1
    assert message in error
    assert sorted((tmp_path / "here").rglob("*")) == before
