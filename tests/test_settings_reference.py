"""The reference page and the classes it describes cannot drift apart: the page is parsed."""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NewType, Union

import attrs
import pytest

from trade_runtime.settings import InstrumentSettings, Settings, StrategySettings, VenueTable
from trade_runtime.settings.reader import fields_by_key

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "configuration.md"
ROW = re.compile(r"^\| `(?P<key>\w+)` \| (?P<rest>.*) \|$")
SPECIAL = {"venues": "[venues.NAME]", "strategies": "[[strategies]]"}


@attrs.frozen
class Row:
    """A row of the page."""

    type: str
    default: str
    unit: str
    meaning: str


def documented() -> dict[str, dict[str, Row]]:
    """Every row of the page, by section and key."""
    sections: dict[str, dict[str, Row]] = {}
    rows: dict[str, Row] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            rows = {}
            if match := re.fullmatch(r"## `(\[.*\])`", line):
                sections[match[1]] = rows
        elif match := ROW.match(line):
            cells = [cell.strip() for cell in match["rest"].split("|")]
            assert match["key"] not in rows, f"{match['key']} stands there twice"
            rows[match["key"]] = Row(*cells)
    return sections


def declared() -> dict[str, type[Any]]:
    """Every section of the configuration, with its class."""
    found: dict[str, type[Any]] = {}
    for key, (_, kind) in fields_by_key(Settings).items():
        if key == "venues":
            found[SPECIAL[key]] = VenueTable
        elif key == "instruments":
            found["[instruments]"] = InstrumentSettings
        elif key == "strategies":
            found[SPECIAL[key]] = StrategySettings
        else:
            found[f"[{key}]"] = kind
    return found


def keys_of(cls: type[Any]) -> dict[str, tuple[Any, Any]]:
    """A section's keys; a venue's options are the plug-in's own."""
    return {key: found for key, found in fields_by_key(cls).items() if key != "options"}


def type_in_words(kind: Any) -> str:
    """A field's type as the page writes it."""
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if kind is Any:
        return "date"
    if origin in (Union, types.UnionType):
        return type_in_words(next(item for item in arguments if item is not type(None)))
    if origin is Literal:
        return " ".join(f'`"{choice}"`' for choice in arguments)
    if origin is tuple and attrs.has(arguments[0]):
        return "array of tables"
    if origin is tuple:
        return f"array of {type_in_words(arguments[0])}s"
    if origin is Mapping:
        return "table" if arguments[1] is Any else f"table of {type_in_words(arguments[1])}s"
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return {**names, Decimal: "decimal", Path: "path"}[kind]


def default_in_words(field: Any) -> str:
    """A field's default as the page writes it."""
    default = field.default
    if default is attrs.NOTHING:
        return "*required*"
    if default is None:
        return "none"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "`{}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str | Path):
        return f'`"{default}"`'
    return f"`{default}`"


def test_every_section_is_documented_and_no_other() -> None:
    """A section without a heading, or a heading without a section, fails."""
    assert declared().keys() == documented().keys()


@pytest.mark.parametrize("section", declared())
def test_every_key_is_documented_with_its_type_and_default(section: str) -> None:
    """A key that is missing, left over, or described otherwise than the code has it, fails."""
    rows = documented()[section]
    keys = keys_of(declared()[section])
    assert list(keys) == list(rows), "the page lists the keys in the order of the class"
    for key, (field, kind) in keys.items():
        assert type_in_words(kind) == rows[key].type, f"type of {section} {key}"
        assert default_in_words(field) == rows[key].default, f"default of {section} {key}"
        assert rows[key].meaning, f"meaning of {section} {key}"


@pytest.mark.parametrize("section", declared())
def test_every_time_has_its_unit(section: str) -> None:
    """What ends in `_secs` is in seconds, what ends in `_pct` in percent."""
    for key, row in documented()[section].items():
        if key.endswith("_secs"):
            assert row.unit == "seconds", key
        if key.endswith("_pct"):
            assert row.unit == "percent", key


def test_the_example_on_the_page_is_valid() -> None:
    """What a reader copies from the page works."""
    example = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    settings = Settings.from_mapping(tomllib.loads(example[1]), "/srv")
    assert [strategy.name for strategy in settings.strategies] == ["maker"]
