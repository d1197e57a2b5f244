"""Whatever is written on the command line, the answer is a configuration or one line."""

from __future__ import annotations

import math

import pytest
import yaml

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from progressive.config.command_line import compose_config
from progressive.config.complaints import keys
from progressive.config.model import GROUPS, Config, to_yaml, validate
from progressive.config.train_arguments import check_train_arguments, ultralytics_defaults
from progressive.errors import ConfigError

#: Characters that mean something to Hydra, and some that do not.
MARKS = "abz019.,:=@+~-_/[]{}()'\"\\ $%\n\t\0é"

KEYS = st.one_of(
    st.sampled_from([*keys(Config), *GROUPS, "size", "mixup", "train", "hydra", "hydra.verbose"]),
    st.sampled_from([f"train.{name}" for name in ultralytics_defaults()]),
    st.text(MARKS, max_size=6),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([10**9, 10**30, -1, 0, 1e308]))
VALUES = st.recursive(
    st.one_of(
        NUMBERS.map(str),
        st.sampled_from(["null", "true", "false", "", "nan", "inf", "''", "x", "???", "${epochs}"]),
        st.text(MARKS, max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]"),
        st.lists(inner, max_size=2).map(
            lambda parts: "{" + ",".join(f"min:{part}" for part in parts) + "}"
        ),
    ),
    max_leaves=4,
)
OVERRIDES = st.builds(
    lambda mark, key, equals, value: f"{mark}{key}{equals}{value}",
    *(st.sampled_from(["", "", "+", "++", "~"]), KEYS, st.sampled_from(["=", "=", "=", "@", ""])),
    VALUES,
)


def finite(value):
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def attempt(read):
    """Return what `read` does, and its complaint, one of them empty."""
    try:
        return read(), ""
    except ConfigError as error:
        complaint = str(error)
    assert len(complaint.splitlines()) == 1
    return None, complaint


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(OVERRIDES, min_size=1, max_size=3))
def test_an_override_is_understood_or_answered_in_one_line(tmp_path, monkeypatch, overrides):
    monkeypatch.chdir(tmp_path)
    config, complaint = attempt(lambda: compose_config(["machine=cpu", *overrides]))
    if config is None:
        assert complaint
    else:
        assert finite(config.model_dump())
        assert sum(stage.epochs for stage in config.schedule().stages) == config.epochs
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*ultralytics_defaults(), "nothing"]),
        st.recursive(
            st.one_of(NUMBERS, st.booleans(), st.none(), st.text(max_size=4)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=2)
            ),
            max_leaves=4,
        ),
        max_size=3,
    )
)
def test_arguments_of_ultralytics_are_finite_or_refused(arguments):
    _, complaint = attempt(lambda: check_train_arguments(arguments))
    if complaint:
        assert any(f"train.{name}" in complaint for name in arguments)
    else:
        assert finite(arguments)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*keys(Config)]), st.one_of(NUMBERS, st.none(), st.text())),
        max_size=3,
    )
)
def test_a_record_of_settings_is_read_back_as_it_was(changes):
    raw = BASE.model_dump(mode="json")
    for key, value in changes:
        section, _, name = key.rpartition(".")
        (raw[section] if section else raw)[name] = value
    config, _ = attempt(lambda: validate(raw))
    if config is not None:
        assert validate(yaml.safe_load(to_yaml(config))) == config


BASE = compose_config(["machine=cpu", "device=cpu"])
