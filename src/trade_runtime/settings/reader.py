"""Reads a frozen attrs class out of a mapping, and says exactly what is wrong where it cannot.

Stands beside the values: imports no layer. `structure` serves every table of the configuration,
those of venue plug-ins too. It is written by hand, not on a structuring library, because the errors
are its product: every mistake is told, one line each, with the TOML path, what was expected, what
was found, and the nearest known name. What it guarantees: no coercion that loses or invents (a
boolean is no number, a string is no list), no NaN and no infinity, and no secret in an error.

Understood field types: `bool`, `int`, `float`, `str`, `Decimal`, `Path`, `Any`, enums, `Literal`,
`Secret`, `NewType`, `X | None`, `tuple[X, ...]`, `Mapping[str, X]`, and frozen attrs classes of
these. A field's key is its name, or `metadata={"key": ...}`; with key None it is not read from
TOML; `"sample"` is what an error offers as a right value.
"""

from __future__ import annotations

import contextlib
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, NewType, TypeVar, Union

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.secret import Secret
from trade_runtime.settings.problems import Problem, child, raise_problems
from trade_runtime.settings.scalars import SCALARS, described, kind_of, sample_of
from trade_runtime.settings.secrets import MASK, Table, frozen, is_secret
from trade_runtime.spelling import did_you_mean, suggest

T = TypeVar("T")

_BAD: Final = object()


def structure(
    cls: type[T], mapping: Mapping[str, Any], path: str = "", *, source: Path | None = None
) -> T:
    """Read an instance of `cls` out of `mapping`.

    Args:
        cls: a frozen attrs class; its validators may raise ValueError, TypeError or ConfigError.
            A field for a secret must be declared with `repr=False`.
        mapping: a table as `tomllib` reads it.
        path: the TOML path of the table, for errors: `venues.paper`.
        source: the file, for errors.

    Raises:
        ConfigError: one line for each thing that is wrong.
        TypeError: `cls` has a field that cannot be read from TOML, or that would show a secret.
    """
    problems: list[Problem] = []
    value = read_table(cls, mapping, path, problems)
    raise_problems(problems, source)
    return typing.cast("T", value)


def read_table(cls: type[Any], raw: object, path: str, problems: list[Problem]) -> Any:
    """Read an instance of `cls`, adding what is wrong to `problems`; None where anything was."""
    before = len(problems)
    if not isinstance(raw, Mapping):
        problems.append(Problem(path, f"expected a table, got {described(raw)}"))
        return None
    fields = fields_by_key(cls)
    problems.extend(
        Problem(child(path, str(key)), f"unknown key{suggest(str(key), fields)}")
        for key in raw
        if key not in fields
    )
    values: dict[str, Any] = {}
    for key, (field, kind) in fields.items():
        if key in raw:
            value = read_value(kind, raw[key], child(path, key), problems, field=field)
            if value is not _BAD:
                values[field.alias or field.name] = value
        elif field.default is attrs.NOTHING:
            sample = field.metadata.get("sample", sample_of(kind))
            problems.append(Problem(child(path, key), f"missing; write {key} = {sample}"))
    try:
        if len(problems) == before:
            return cls(**values)
        _check_fields(cls, values, path, problems)
    except (ValueError, TypeError, ConfigError) as refusal:
        # A field's validator, a converter, or a rule over several fields.
        told = len(problems)
        with contextlib.suppress(ValueError, TypeError, ConfigError):
            _check_fields(cls, values, path, problems)
        if len(problems) == told:
            problems.append(Problem(path, _hidden(cls, values, _one_line(refusal))))
    return None


def read_value(
    kind: Any,
    raw: object,
    path: str,
    problems: list[Problem],
    *,
    field: attrs.Attribute[Any] | None = None,
) -> Any:
    """Read a value of type `kind`, adding what is wrong to `problems`."""
    if isinstance(kind, NewType):
        return read_value(kind.__supertype__, raw, path, problems, field=field)
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        if raw is None and len(inner) < len(arguments):
            return None
        if len(inner) == 1:
            return read_value(inner[0], raw, path, problems, field=field)
    elif kind is Any or kind is object:
        return frozen(raw)
    elif origin in (tuple, Sequence):
        if isinstance(raw, list | tuple):
            before = len(problems)
            items = tuple(
                read_value(arguments[0], item, f"{path}[{index}]", problems)
                for index, item in enumerate(raw)
            )
            return items if len(problems) == before else _BAD
        return _refused(path, "an array", sample_of(kind), raw, field, problems)
    elif origin is Mapping:
        return _read_mapping(arguments[1], raw, path, problems)
    elif attrs.has(kind):
        table = read_table(kind, raw, path, problems)
        return _BAD if table is None else table
    elif origin is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
        return _read_choice(kind, raw, path, problems)
    elif kind in SCALARS:
        expected, read = SCALARS[kind]
        try:
            return read(raw)
        except (ValueError, TypeError, OverflowError):
            return _refused(path, expected, sample_of(kind), raw, field, problems)
    raise TypeError(f"{path}: a field of type {kind} cannot be read from TOML")


def fields_by_key(cls: type[Any]) -> dict[str, tuple[attrs.Attribute[Any], Any]]:
    """Return the fields of an attrs class that TOML can set, by key, each with its type.

    Raises:
        TypeError: a field for a secret is shown in the repr.
    """
    hints = typing.get_type_hints(cls)
    found: dict[str, tuple[attrs.Attribute[Any], Any]] = {}
    for field in attrs.fields(cls):
        key = field.metadata.get("key", field.name)
        if key is None or not field.init:
            continue
        if is_secret(key) and field.repr is True and not holds_secret(hints[field.name]):
            raise TypeError(f"{cls.__name__}.{field.name} holds a secret: declare it repr=False")
        found[key] = (field, hints[field.name])
    return found


def holds_secret(kind: Any) -> bool:
    """Tell whether a field of this type holds a `Secret`, or none."""
    return kind is Secret or Secret in typing.get_args(kind)


def _check_fields(
    cls: type[Any], values: dict[str, Any], path: str, problems: list[Problem]
) -> None:
    """Ask the validator of every field that was read, so that all mistakes are told at once."""
    draft = object.__new__(cls)
    for field in attrs.fields(cls):
        value = values.get(field.alias or field.name, field.default)
        if isinstance(value, attrs.Factory):  # type: ignore[arg-type]
            value = value.factory(*([draft] if value.takes_self else []))
        elif callable(field.converter) and value is not attrs.NOTHING:
            value = field.converter(value)
        object.__setattr__(draft, field.name, value)
    for key, (field, _) in fields_by_key(cls).items():
        if field.validator is not None and (field.alias or field.name) in values:
            try:
                field.validator(draft, field, getattr(draft, field.name))
            except (ValueError, TypeError, ConfigError) as error:
                text = _reason(error, field, getattr(draft, field.name))
                problems.append(Problem(child(path, key), text))


def _reason(error: Exception, field: attrs.Attribute[Any], value: object) -> str:
    text = _one_line(error).removeprefix(f"{field.name}: ").removeprefix(f"'{field.name}' ")
    secret = is_secret(field.metadata.get("key", field.name))
    return _without(text, value) if secret else text


def _hidden(cls: type[Any], values: Mapping[str, Any], text: str) -> str:
    for key, (field, _) in fields_by_key(cls).items():
        if is_secret(key):
            text = _without(text, values.get(field.alias or field.name))
    return text


def _without(text: str, value: object) -> str:
    if isinstance(value, Secret):
        value = value.reveal()
    return text.replace(str(value), MASK) if value not in (None, "") else text


def _one_line(error: Exception) -> str:
    """Return an error's text in one line; attrs puts more than the text into `args`."""
    text = str(error.args[0]) if error.args else type(error).__name__
    return " ".join(text.split())


def _read_mapping(kind: Any, raw: object, path: str, problems: list[Problem]) -> Any:
    if not isinstance(raw, Mapping):
        problems.append(Problem(path, f"expected a table, got {described(raw)}"))
        return _BAD
    before = len(problems)
    items = {
        str(key): read_value(kind, item, child(path, str(key)), problems)
        for key, item in raw.items()
    }
    return Table(items) if len(problems) == before else _BAD


def _read_choice(kind: Any, raw: object, path: str, problems: list[Problem]) -> Any:
    if typing.get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
    else:
        choices = {str(member.value): member for member in kind}
    if isinstance(raw, str) and raw in choices:
        return choices[raw]
    known = ", ".join(f'"{choice}"' for choice in choices)
    hint = did_you_mean(raw, choices) if isinstance(raw, str) else ""
    problems.append(Problem(path, f"expected one of {known}, got {described(raw)}{hint}"))
    return _BAD


def _refused(
    path: str,
    expected: str,
    sample: str,
    raw: object,
    field: attrs.Attribute[Any] | None,
    problems: list[Problem],
) -> object:
    key = path.rpartition(".")[2]
    found = kind_of(raw) if is_secret(key) else described(raw)
    if field is not None and "sample" in field.metadata:
        sample = field.metadata["sample"]
    elif field is not None and isinstance(field.default, bool | int | float | str):
        default = field.default
        sample = str(default).lower() if isinstance(default, bool) else repr(default)
        sample = sample.replace("'", '"')
    problems.append(Problem(path, f"expected {expected}, got {found}; write for example {sample}"))
    return _BAD
