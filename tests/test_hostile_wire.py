"""What nobody meant to send: every decoder of every adapter takes it, refuses it, and is well."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.codecs import JUNK, PAGES, SEEDS, TARGETS, feed, places, put

EVERY = pytest.mark.parametrize("name", sorted(TARGETS))

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@EVERY
@pytest.mark.parametrize("page", PAGES, ids=range(len(PAGES)))
def test_an_answer_that_is_none(name: str, page: bytes) -> None:
    """A page of a proxy, bytes that are no text, nesting without end: a `VenueError`, no event."""
    feed(name, page)


@EVERY
def test_each_value_replaced_by_each_junk(name: str) -> None:
    """One at a time, and each left out once: refused, or what is told can be."""
    for seed in SEEDS.get(name, []):
        good = json.loads(seed)
        for path in places(good)[:60]:
            for junk in JUNK:
                feed(name, json.dumps(put(good, path, junk)).encode())
            if path:
                feed(name, json.dumps(put(good, path, None, drop=True)).encode())


@EVERY
def test_an_answer_that_is_right_is_read(name: str) -> None:
    """The seeds themselves: what is spoiled above is worth spoiling."""
    for seed in SEEDS.get(name, []):
        if name != "usdm.private" and b"serverShutdown" not in seed:
            assert feed(name, seed), seed


@EVERY
@given(body=st.binary(max_size=300) | values.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=60)
def test_an_answer_made_up(name: str, body: bytes) -> None:
    """Bytes, and JSON of any shape."""
    feed(name, body)


@EVERY
@given(data=st.data())
@settings(max_examples=60)
def test_an_answer_cut_or_bent(name: str, data: st.DataObject) -> None:
    """A right one that ends too early, or has other bytes somewhere."""
    seeds = SEEDS.get(name) or [b"{}"]
    seed = data.draw(st.sampled_from(seeds))[:5000]
    at = data.draw(st.integers(0, len(seed)))
    feed(name, seed[:at])
    feed(name, seed[:at] + data.draw(st.binary(max_size=8)) + seed[at + 1 :])
