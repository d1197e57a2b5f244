"""What is on a page, and that nothing gets out of its place there."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from progressive.runs.html import write_comparison, write_report

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and the text of its scripts."""

    def __init__(self, page):
        super().__init__()
        self.found, self.scripts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.found and self.found[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_a_run_has_everything_on_one_page(make_run, tmp_path):
    found = {"stages": [10, 22.5, 42], "total": 100.0, "measured_total": 80.0}
    prediction = {"prediction": {**found, "source": "first epoch"}}
    folder = make_run(tmp_path / "run", extra=prediction)
    page = write_report(folder).read_text()
    text = text_of(page)
    for words in (
        "64 → 128 px",
        "yolov8n with efficientnetv2_b0, data digits, 12 epochs in 3 stages",
        "From the first epoch, by pixels, 1 min 40 s were predicted (+25%); it took 1 min 20 s.",
        "Set-up and the last evaluation took another 9 s.",
        "python -m progressive.run seed=0",
        "Stage 2, predictions after epoch 8",
        "a" * 32,
    ):
        assert words in text, words
    names = {path.name for path in (folder / "report").glob("*.png")}
    assert names == {"schedule.png", "quality.png", "time.png", "prediction.png"}
    # Self-contained: whatever is loaded is in the page.
    for tag, attributes in Tags(page).found:
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
    assert "://" not in re.sub(r"base64,[\w+/=]+", "", page)


def test_the_records_are_in_the_page(make_run, tmp_path):
    page = write_report(make_run(tmp_path / "run")).read_text()
    (script,) = Tags(page).scripts
    records = json.loads(script)
    assert len(records["epochs"]) == 12
    assert records["plan"]["image_size"] == 128
    assert records["environment"]["seed"] == 0


@pytest.mark.slow
def test_names_cannot_become_markup(make_run, tmp_path):
    folder = make_run(tmp_path / "run", classes=(HOSTILE, "b"), data=HOSTILE)
    settings = folder / "config.yaml"
    settings.write_text(settings.read_text() + f"'{HOSTILE}': '{HOSTILE}'\n")
    other = make_run(tmp_path / HOSTILE.replace("/", "_"), seed=1)
    environment = json.loads((folder / "environment.json").read_text())
    hostile = {
        "command": HOSTILE,
        "processor": HOSTILE,
        "gpus": [HOSTILE],
        "packages": {HOSTILE: HOSTILE},
    }
    (folder / "environment.json").write_text(json.dumps({**environment, **hostile}))
    (folder / "summary.json").write_text(
        (folder / "summary.json").read_text().replace("{", '{"' + "</script><b>" + '": "",', 1)
    )
    compare = {
        "baseline": HOSTILE,
        "arms": {HOSTILE: {"runs": ["run"]}, "$a$": {"runs": [other.name]}},
        "verdict": HOSTILE,
    }
    (tmp_path / "compare.json").write_text(json.dumps(compare))
    for page in (
        write_report(folder),
        write_report(other),
        write_report(tmp_path),
        write_comparison([folder, other], tmp_path / "comparison"),
    ):
        tags = Tags(page.read_text())
        assert [attributes for tag, attributes in tags.found if tag == "script"] == [
            {"type": "application/json", "id": "records"}
        ]
        json.loads(tags.scripts[0])
        assert "b" not in {tag for tag, _ in tags.found}
        assert not any(name.startswith("on") for _, found in tags.found for name in found)
        assert all(found["src"].startswith("data:") for tag, found in tags.found if tag == "img")


@pytest.mark.slow
def test_a_page_is_the_same_for_the_same_records(make_run, tmp_path):
    folder = make_run(tmp_path / "run")
    assert write_report(folder).read_text() == write_report(folder).read_text()


def test_a_run_without_pictures_or_validation_has_a_page(make_run, tmp_path):
    folder = make_run(tmp_path / "run", pictures=False, finished=False)
    lines = (folder / "epochs.csv").read_text().splitlines()[:2]
    (folder / "epochs.csv").write_text("\n".join(lines) + "\n")
    text = text_of(write_report(folder).read_text())
    assert "not finished" in text
    assert "Quality" not in text
    (folder / "epochs.csv").unlink()
    assert "Stages" not in text_of(write_report(folder).read_text())


def test_a_sweep_is_compared_with_training_at_one_size(make_run, tmp_path):
    make_run(tmp_path / "0", stages=3, seed=0)
    make_run(tmp_path / "1", stages=3, seed=1)
    make_run(tmp_path / "2", stages=1, seed=0, data="b" * 32)
    page = write_report(tmp_path)
    text = text_of(page.read_text())
    assert page == tmp_path / "report.html"
    assert "3 runs of 2 kinds; the baseline is size.min=128 stages=1" in text
    assert "The runs did not all see the same data." in text
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"pareto.png", "curves.png"}


def test_runs_of_two_tasks_have_a_page(make_run, tmp_path):
    killed = make_run(tmp_path / "0", finished=False)
    lines = (killed / "epochs.csv").read_text().splitlines()[:2]
    (killed / "epochs.csv").write_text("\n".join(lines) + "\n")
    classifier = make_run(tmp_path / "1", stages=1)
    for name in ("epochs.csv", "summary.json"):
        text = (classifier / name).read_text()
        text = text.replace("mAP50_95", "accuracy_top5").replace("mAP50", "accuracy_top1")
        (classifier / name).write_text(text)
    assert "2 runs of 2 kinds" in text_of(write_report(tmp_path).read_text())


def test_a_comparison_shows_its_differences(make_run, tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / f"fixed-{seed}", stages=1, seed=seed)
        make_run(tmp_path / f"staged-{seed}", stages=3, seed=seed)
    difference = {"values": [-0.01, 0.03], "mean": 0.01, "low": -0.02, "high": 0.04}
    compare = {
        "baseline": "fixed",
        "margin": 0.05,
        "arms": {
            "staged": {"runs": ["staged-0", "staged-1"], "difference": difference},
            "fixed": {"runs": ["fixed-0", "fixed-1"]},
        },
        "verdict": "No worse by more than 0.05.",
    }
    (tmp_path / "compare.json").write_text(json.dumps(compare))
    text = text_of(write_report(tmp_path).read_text())
    assert "No worse by more than 0.05." in text
    assert "+0.010 (-0.020 to +0.040)" in text
    assert text.index("fixed") < text.index("staged")
    assert (tmp_path / "report" / "differences.png").is_file()
    assert "All runs saw the same data." in text


@pytest.mark.parametrize("name", ["wrong", {"total": "x"}, {"total": 3, "stages": ["a"]}])
def test_a_prediction_that_is_none_does_no_harm(make_run, tmp_path, name):
    folder = make_run(tmp_path / "run", extra={"prediction": name}, pictures=False)
    assert write_report(folder).is_file()
