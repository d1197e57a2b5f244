from __future__ import annotations

import subprocess
import sys

import pytest
import timm

from progressive.detectors.timm_names import check_timm_name, timm_names
from progressive.errors import InputError


def test_names_are_all_that_timm_lists():
    assert set(timm_names()) == set(timm.list_models())


def test_names_are_found_without_importing_timm():
    code = (
        "import sys; from progressive.detectors.timm_names import check_timm_name as check;"
        "check('resnet18.a1_in1k'); print(sorted({'timm', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnetv2", "timm has no model 'efficientnetv2'; did you mean efficientnetv2_"),
        ("?", r"timm has no model '\?'; timm.list_models\(\) lists what it has"),
        ("hf-hub:timm/resnet18", "timm has no model 'hf-hub:timm/resnet18'"),  # never downloaded
    ],
)
def test_unknown_names_name_the_nearest(name, message):
    with pytest.raises(InputError, match=message):
        check_timm_name(name)
