"""Secrets: where they are read from, and that nothing ever shows one."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

import attrs
import keyring
import keyring.backend
import msgspec
import pytest

from trade_runtime.errors import ConfigError
from trade_runtime.model.secret import Secret
from trade_runtime.settings import Settings
from trade_runtime.settings.keys import MAX_SECRET_BYTES

HIDDEN = "hunter2-and-more"


@attrs.frozen
class Keys:
    """What an adapter asks for."""

    api_key: Secret | None = None
    api_secret: Secret | None = attrs.field(default=None)
    token: str = attrs.field(default="", repr=False)

    @api_secret.validator
    def _leaks(self, _: object, value: Secret | None) -> None:
        if value is not None and value.reveal().startswith("bad"):
            raise ValueError(f"{value.reveal()} is no key")


def read(reference: object, base_dir: Path = Path(), key: str = "api_key") -> Keys:
    settings = Settings.from_mapping({"venues": {"x": {"kind": "x", key: reference}}}, base_dir)
    return settings.venue_options("x", Keys)


def refused(reference: object, base_dir: Path = Path(), key: str = "api_key") -> str:
    with pytest.raises(ConfigError) as caught:
        read(reference, base_dir, key)
    shown = "".join(traceback.format_exception(caught.value))
    assert HIDDEN not in shown
    assert str(caught.value).startswith(f"venues.x.{key}: ")
    return str(caught.value)


def test_a_secret_never_shows_itself() -> None:
    """Not printed, formatted, logged, dumped or pickled, alone or in what holds it."""
    secret, keys = Secret(HIDDEN), Keys(Secret(HIDDEN), Secret(HIDDEN))
    record = logging.LogRecord("x", 20, "", 0, "%s %r", (secret, keys), None)
    shown = [repr(secret), str(secret), f"{secret:>9}", f"{secret}", repr(keys)]
    shown += [repr([secret]), str(attrs.asdict(keys)), record.getMessage()]
    shown.append(json.dumps(attrs.asdict(keys), default=str))
    assert all(HIDDEN not in text and "***" in text for text in shown)
    for write in (pickle.dumps, msgspec.json.encode, json.dumps):
        with pytest.raises(TypeError) as caught:
            write(secret)
        assert HIDDEN not in str(caught.value)
    assert not hasattr(secret, "__dict__")
    assert copy.deepcopy(keys).api_key is keys.api_key
    assert secret == Secret(HIDDEN)
    assert secret != Secret("other")
    assert secret != HIDDEN
    assert HIDDEN == secret.reveal()


def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name; a name that is not there, or empty, is told with the path."""
    monkeypatch.setenv("MY_KEY", f" {HIDDEN}\n")
    assert Secret(HIDDEN) == read("env:MY_KEY").api_key
    assert HIDDEN == read("env:MY_KEY", key="token").token
    monkeypatch.delenv("MY_KEY")
    assert "the environment has no MY_KEY" in refused("env:MY_KEY")
    monkeypatch.setenv("MY_KEY", " ")
    assert "env:MY_KEY is empty" in refused("env:MY_KEY")


def test_a_secret_is_read_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    """Relative to the configuration; one that others can read is refused, with the mend."""
    path = tmp_path / "key"
    path.write_text(HIDDEN + "\n")
    path.chmod(0o600)
    assert Secret(HIDDEN) == read("file:key", tmp_path).api_key
    assert Secret(HIDDEN) == read(f"file:{path}").api_key
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        assert f"run: chmod 600 {path}" in refused("file:key", tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"\xff\xfe" + HIDDEN.encode())
    assert "is no text" in refused("file:key", tmp_path)
    path.write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    assert "holds no key" in refused("file:key", tmp_path)
    assert "No such file" in refused("file:nokey", tmp_path)
    assert refused(f"file:{tmp_path}")
    assert refused("file:a\0b")


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory, by the library's own door for others."""

    priority = 1
    broken = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.broken:
            raise RuntimeError(f"locked: {HIDDEN}")
        return HIDDEN if (service, username) == ("exchange/spot", "key") else None

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


@pytest.fixture
def ring() -> Iterator[Ring]:
    before = keyring.get_keyring()
    made = Ring()  # type: ignore[no-untyped-call]
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_secret_is_read_from_the_keyring(ring: Ring) -> None:
    """By service and name; what the keyring says when it fails is not repeated."""
    assert Secret(HIDDEN) == read("keyring:exchange/spot/key").api_key
    assert "run: keyring set exchange other" in refused("keyring:exchange/other")
    assert "write keyring:SERVICE/NAME" in refused("keyring:exchange")
    ring.broken = True
    assert "gives no answer (RuntimeError)" in refused("keyring:exchange/spot/key")


def test_a_keyring_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to install it."""
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    assert "pip install 'trade-runtime[keyring]'" in refused("keyring:exchange/key")


@pytest.mark.parametrize("literal", [HIDDEN, f"{HIDDEN}:x", "", "env:", 20202020, [HIDDEN]])
def test_a_key_in_the_configuration_itself_is_refused(literal: object) -> None:
    """It is not repeated, and the mend is said."""
    assert '"env:NAME"' in refused(literal)


def test_a_validator_that_repeats_a_secret_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a plug-in's author did."""
    monkeypatch.setenv("MY_KEY", f"bad {HIDDEN}")
    assert "*** is no key" in refused("env:MY_KEY", key="api_secret")
