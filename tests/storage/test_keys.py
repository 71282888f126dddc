"""Keys: from where, which fits, and another one in its place."""

import base64
from pathlib import Path

import pytest

from hsa_memory.storage import (
    KeyMissing,
    NoCipher,
    NotEncrypted,
    SessionBusy,
    Store,
    WrongKey,
)
from hsa_memory.storage.keyed import read_owner

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))


def opened(root: Path, key: bytes | None = KEY, user: str | None = "alice") -> Store:
    return Store.open(root, user=user, key=key)


def fill_up(store: Store, kit, name: str = "diary", turns: int = 30) -> None:
    with store.session(name, layout=kit.layout) as session:
        first = session.num_turns
        session.append([kit.turn(first + i) for i in range(turns)], meta={"note": {"a": "canary"}})
        kit.catch_up(session)


def folder_of(root: Path, name: str = "diary", user: str | None = "alice") -> Path:
    with Store.open(root, user=user) as store:
        (found,) = (info.id for info in store.list_sessions() if info.name == name)
    return root / "s" / found[:2] / found


def test_the_key_must_be_there_and_fit(tmp_path, kit) -> None:
    with opened(tmp_path) as store:
        fill_up(store, kit)
    with pytest.raises(WrongKey, match="not the one that the sessions were encrypted with"):
        opened(tmp_path, OTHER)
    with opened(tmp_path, None) as store:
        assert [info.name for info in store.list_sessions()] == ["diary"]
        for read_only in (True, False):
            with pytest.raises(KeyMissing, match="session 'diary' is encrypted"):
                store.session("diary", layout=kit.layout, read_only=read_only)
        with pytest.raises(KeyMissing):
            store.session("another", layout=kit.layout)
        store.delete_session("diary")


def test_a_key_for_sessions_that_are_plain_is_an_error(tmp_path, kit) -> None:
    with opened(tmp_path, None) as store:
        fill_up(store, kit)
    with pytest.raises(NotEncrypted, match="user 'alice'.*without a key"):
        opened(tmp_path)
    with opened(tmp_path, None, user=None) as store:
        fill_up(store, kit)
    # Administration may need the key of others.
    with opened(tmp_path, user=None) as store:
        with pytest.raises(NotEncrypted):
            store.session("diary", layout=kit.layout)
        with pytest.raises(NotEncrypted):
            store.session("new", layout=kit.layout)
        assert store.check() == []
    # The first session decides.
    with opened(tmp_path, None) as store:
        store.delete_session("diary")
    with opened(tmp_path) as store:
        fill_up(store, kit)
    with opened(tmp_path, None) as store, pytest.raises(KeyMissing):
        store.session("diary", layout=kit.layout)


def test_a_quota_does_not_decide_about_encryption(tmp_path, kit) -> None:
    with opened(tmp_path, None, user=None) as store:
        store.set_quota("alice", max_tokens=10_000)
    with opened(tmp_path) as store:
        fill_up(store, kit)
        assert store._owner().max_tokens == 10_000
        assert store._owner().key


def test_where_a_key_may_come_from(tmp_path, kit, monkeypatch) -> None:
    with opened(tmp_path) as store:
        fill_up(store, kit)
    monkeypatch.setenv("MEMORY_HEX", KEY.hex())
    monkeypatch.setenv("MEMORY_BASE64", base64.b64encode(KEY).decode())
    monkeypatch.setenv("MEMORY_BAD", "no key at all!")
    for source in (
        KEY,
        lambda: KEY,
        "env:MEMORY_HEX",
        "env:MEMORY_BASE64",
        lambda: "env:MEMORY_HEX",
    ):
        opened(tmp_path, source).close()
    for source, error in (
        ("env:MEMORY_MISSING", KeyMissing),
        ("env:MEMORY_BAD", WrongKey),
        ("secret", WrongKey),
        ("env:", WrongKey),
        ("env:\ud800", WrongKey),
        ("keyring:service", WrongKey),
        ("keyring:/name", WrongKey),
        (b"short", WrongKey),
        (lambda: 5, WrongKey),
    ):
        with pytest.raises(error):
            opened(tmp_path, source)


def test_a_missing_keyring_is_said(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    with pytest.raises(NoCipher, match=r"hsa-memory\[keyring\]"):
        opened(tmp_path, "keyring:memory/alice")


def test_a_key_from_the_keyring(tmp_path, kit) -> None:
    keyring = pytest.importorskip("keyring", reason="the extra `keyring` is not installed")
    from keyring.backend import KeyringBackend
    from keyring.backends.fail import Keyring as NoKeyring

    class Held(KeyringBackend):
        """Passwords of this process."""

        priority = 1.0

        def __init__(self) -> None:
            super().__init__()
            self.held: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.held[service, username] = password

    before = keyring.get_keyring()
    try:
        keyring.set_keyring(Held())
        keyring.set_password("memory", "alice/2", KEY.hex())
        with opened(tmp_path, "keyring:memory/alice/2") as store:
            fill_up(store, kit)
        opened(tmp_path).close()
        with pytest.raises(KeyMissing, match="'bob' of 'memory'"):
            opened(tmp_path, "keyring:memory/bob")
        keyring.set_keyring(NoKeyring())
        with pytest.raises(KeyMissing, match="cannot be read"):
            opened(tmp_path, "keyring:memory/alice/2")
    finally:
        keyring.set_keyring(before)


def test_another_key_of_the_store(tmp_path, kit) -> None:
    with opened(tmp_path) as store:
        fill_up(store, kit)
    with opened(tmp_path, user=None) as store:
        fill_up(store, kit, "own")
        store.rotate_key(OTHER)
        fill_up(store, kit, "own")
    for user in ("alice", None):
        with pytest.raises(WrongKey):
            opened(tmp_path, user=user)
    with opened(tmp_path, OTHER) as store, store.session("diary", layout=kit.layout) as session:
        kit.assert_right(session)
    with opened(tmp_path, None, user=None) as store, pytest.raises(KeyMissing):
        store.rotate_key(KEY)
    with opened(tmp_path, OTHER) as store, store.session("diary", layout=kit.layout):
        with opened(tmp_path, OTHER, user=None) as admin, pytest.raises(SessionBusy):
            admin.rotate_key(KEY)
    opened(tmp_path, OTHER).close()


def test_a_session_that_missed_the_new_key_learns_it(tmp_path, kit) -> None:
    with opened(tmp_path) as store:
        fill_up(store, kit)
    folder = folder_of(tmp_path)
    before = (folder / "session.db").read_bytes()
    with opened(tmp_path, user=None) as store:
        store.rotate_key(OTHER)
    # As a crash between catalog and session would leave it.
    (folder / "session.db").write_bytes(before)
    with opened(tmp_path, OTHER) as store:
        wrapped = store._owner().key
        with store.session("diary", layout=kit.layout) as session:
            kit.assert_right(session)
    store = Store.open(tmp_path)
    assert read_owner(store._vfs, str(tmp_path), folder.name)["key"] == wrapped
    store.close()
