"""What a mistyped name was probably meant to be."""

from __future__ import annotations

from trade_runtime.spelling import MAX_TOLD, did_you_mean, nearest, suggest


def test_the_nearest_is_found_in_either_case() -> None:
    """It is told as it is written, and only where it is near enough."""
    assert "Maker" == nearest("makre", ["Taker", "Maker"])
    assert nearest("seller", ["Maker"]) is None
    assert nearest("makre", ["Maker"], likeness=0.9) is None


def test_where_none_is_near_it_is_said_what_there_is() -> None:
    """Or that there is nothing; a bare hint is left out."""
    assert '; did you mean "seed"?' == suggest("sead", ["name", "seed"])
    assert '; there are "a", "b"' == suggest("xyz", ["b", "a"])
    assert "; there are none" == suggest("xyz", [])
    assert "" == did_you_mean("xyz", ["b", "a"])


def test_a_line_does_not_grow_with_a_folder() -> None:
    """Of thousands a few are told."""
    told = suggest("xyz", [f"{number:04}" for number in range(1_000)])
    assert told.endswith(f'"{MAX_TOLD - 1:04}" and {1_000 - MAX_TOLD} more')
