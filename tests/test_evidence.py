"""The tables of the page on schedules are those of the records."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECORDS = sorted((ROOT / "docs" / "evidence").glob("*/compare.json"))


def test_there_is_a_record_of_every_study():
    studies = runpy.run_path(str(ROOT / "scripts" / "evidence"))["STUDIES"]
    assert {record.parent.name for record in RECORDS} == set(studies)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.parent.name)
def test_the_page_says_what_was_measured(record):
    table = runpy.run_path(str(ROOT / "scripts" / "evidence"))["table"]
    page = (ROOT / "docs" / "schedules.md").read_text("utf-8")
    assert table(json.loads(record.read_text("utf-8"))) in page
