"""A pickle is inspected without running anything in it."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from fractions import Fraction

import pytest

from progressive.safe_loading.pickles import ForbiddenPickleError, inspect_pickle

SYSTEM = f"{os.system.__module__}.system"  # posix.system or nt.system


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Plain:
    """Pickles as an empty object and its attributes, as most classes do."""

    def __init__(self):
        self.values = [1, 2]


PLAIN = f"{Plain.__module__}.Plain"


def inspect(value, **rules):
    inspect_pickle(io.BytesIO(pickle.dumps(value)), **rules)


@pytest.fixture
def touch(tmp_path, monkeypatch):
    """An object whose pickle runs a shell command when it is loaded."""
    monkeypatch.chdir(tmp_path)
    return Call(os.system, "echo > ran")


def test_the_hostile_pickle_of_these_tests_really_runs(touch, tmp_path):
    pickle.loads(pickle.dumps(touch))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("nest", [lambda x: x, lambda x: {"labels": [x]}, lambda x: (1, x)])
def test_a_call_of_the_shell_is_refused_and_leaves_no_mark(touch, tmp_path, nest):
    with pytest.raises(ForbiddenPickleError, match=f"names {SYSTEM}, which may execute code"):
        inspect(nest(touch), allowed=())
    assert list(tmp_path.iterdir()) == []


def test_nothing_runs_even_if_every_name_is_allowed(touch, tmp_path):
    inspect(touch)
    inspect(touch, allowed={SYSTEM})
    assert list(tmp_path.iterdir()) == []


def test_only_allowed_names_pass():
    inspect(Fraction(1, 3), allowed={"fractions.Fraction"})
    with pytest.raises(ForbiddenPickleError, match=r"names fractions\.Fraction"):
        inspect(Fraction(1, 3), allowed={"fractions.Decimal", "Fraction", PLAIN})
    with pytest.raises(ForbiddenPickleError, match=r"names collections\.OrderedDict"):
        inspect(OrderedDict(a=1), allowed=())


def test_an_uncallable_class_may_be_named_but_not_called():
    inspect(Plain(), uncallable={PLAIN})
    inspect(Call(Plain), uncallable={PLAIN})  # without arguments, as an empty object
    inspect(Call(Plain, "other.pt"))
    with pytest.raises(ForbiddenPickleError, match="calls Plain"):
        inspect(Call(Plain, "other.pt"), uncallable={PLAIN})


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"not a pickle",
        pickle.dumps({"a": [1, 2, 3]})[:-1],  # without its end
        pickle.dumps(list(range(1000)))[:200],
    ],
)
def test_a_damaged_stream_is_an_error(stream):
    with pytest.raises((EOFError, pickle.UnpicklingError)):
        inspect_pickle(io.BytesIO(stream), allowed=())


def test_an_honest_pickle_passes():
    inspect({"labels": [{"cls": 1.5, "file": "a.jpg"}], "hash": b"\0", "n": None}, allowed=())
    inspect(OrderedDict(a=Plain()), allowed={"collections.OrderedDict", PLAIN}, uncallable={PLAIN})


def test_references_to_storage_outside_the_pickle_are_placeholders():
    class Outside(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", 0) if isinstance(value, Plain) else None

    stream = io.BytesIO()
    Outside(stream).dump({"weight": Plain()})
    stream.seek(0)
    inspect_pickle(stream, allowed=())
