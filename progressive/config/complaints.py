"""What is said of a value that a model refuses: one line with the key, the value and what is right.

What is right is read off the field itself, its type and its bounds, so it cannot differ from what
the field accepts. A validator of ours says it itself: the text of its ValueError follows key and
value, that of its ConfigError is the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from progressive.errors import ConfigError, suggest

Model = TypeVar("Model", bound=BaseModel)

#: Pydantic's complaints about a key that a model does not have.
UNKNOWN = ("extra_forbidden", "invalid_key")

#: Marks a field that is no key, but a record that a run keeps among its settings.
RECORD: dict[str, Any] = {"record": True}

#: What pydantic calls the ends of an interval.
BOUNDS = ("ge", "gt", "le", "lt")


def checked(model: type[Model], raw: Any, others: Iterable[str] = ()) -> Model:
    """Return `raw` as a `model`.

    Args:
        model: its fields are the keys; a field that is a model is a section of dotted keys.
        raw: nested mappings, as YAML has them.
        others: names that may be meant by an unknown key, beside the keys of `model`.

    Raises:
        ConfigError: one line about the first mistake; an unknown key comes first, since it may be
            what another one is missing.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{raw}: must be a mapping, with a value for every key")
    try:
        return model.model_validate(raw)
    except ValidationError as failed:
        errors = failed.errors(include_url=False)
    first = min(errors, key=lambda error: error["type"] not in UNKNOWN)
    raise ConfigError(_line(first, model, raw, others))


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the field of every key by its dotted name, in the order of the model."""
    found = {}
    for name, field in _fields(model).items():
        if field.json_schema_extra == RECORD:
            continue
        section = _section(field)
        inner = keys(section) if section else {}
        found.update({f"{name}.{key}": value for key, value in inner.items()} or {name: field})
    return found


def unknown_key(name: str, known: Iterable[str]) -> ConfigError:
    """Return the error for a key that does not exist, with the nearest one that does."""
    hint = suggest(name, known, "see --help for every key", cutoff=0.5)
    return ConfigError(f"{name}: unknown key; {hint}")


def _line(error: ErrorDetails, model: type[BaseModel], raw: Any, others: Iterable[str]) -> str:
    name, value = _written(raw, error["loc"])
    if error["type"] in UNKNOWN:
        while isinstance(value, Mapping) and value:
            inner, value = next(iter(value.items()))
            name = f"{name}.{inner}"
        return str(unknown_key(name, [*keys(model), *others]))
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return str(cause)
    field = _find(model, error["loc"])
    if error["type"] == "missing":
        section = _section(field)
        needed = [f"{name}.{key}" for key in keys(section)] if section else [name]
        return f"{name}: missing; give {' '.join(f'{key}=VALUE' for key in needed)}"
    return f"{name}={value}: {cause or _right(field, name, value)}"


def _written(raw: Any, location: tuple[int | str, ...]) -> tuple[str, Any]:
    """Follow a location as far as sections were written; return the key there and its value."""
    names = []
    for step in location:
        if not isinstance(raw, Mapping):
            break
        names.append(str(step))
        raw = raw.get(step)
    return ".".join(names), raw


def _find(model: type[BaseModel], location: tuple[int | str, ...]) -> FieldInfo:
    """Return the field at a location, which may go on into a list."""
    field = _fields(model)[str(location[0])]
    section = _section(field)
    return _find(section, location[1:]) if section and location[1:] else field


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = _kind(field)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _kind(field: FieldInfo) -> Any:
    """Return the type of a field without its annotations and without None."""
    kind = field.annotation
    if NoneType in get_args(kind):
        (kind,) = [part for part in get_args(kind) if part is not NoneType]
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _bounds(field: FieldInfo) -> dict[str, Any]:
    return {end: getattr(m, end) for m in field.metadata for end in BOUNDS if hasattr(m, end)}


def _between(bound: Mapping[str, Any]) -> str:
    most = f" and at most {bound['le']}" if bound.get("le") else ""
    return f" of at least {bound['ge']}{most}"


def _right(field: FieldInfo, name: str, value: Any) -> str:
    """Say what would be right for a field, from its type and its bounds."""
    kind = _kind(field)
    bound = _bounds(field)
    if get_origin(kind) is Literal:
        return suggest(str(value), get_args(kind))
    if kind is int:
        return f"must be an integer{_between(bound)}"
    if kind is float and not {"le", "lt"} & set(bound):
        return f"must be a number above {bound['gt']:g}"
    if kind is float:
        start = f"[{bound['ge']:g}" if "ge" in bound else f"({bound['gt']:g}"
        end = f"{bound['le']:g}]" if "le" in bound else f"{bound['lt']:g})"
        return f"must be a number in {start}, {end}"
    if get_origin(kind) is tuple:
        _, element = get_args(get_args(kind)[0])
        example = (field.examples or [""])[0]
        return f"must be a list of integers{_between(_bounds(element))}, as {example}"
    if section := _section(field):
        return "write " + " or ".join(f"{name}.{key}=VALUE" for key in section.model_fields)
    if get_origin(kind) is dict:
        return f"write {name}.KEY=VALUE"
    return {bool: "must be true or false", str: "must be a text"}[kind]
