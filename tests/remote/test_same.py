"""What a session promises does not depend on where it lies: the store's own tests, on servers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from hsa_memory.storage import SessionStore, Store

# Those look at files of SQLite, or at what other files a store on disk has.
_OF_FILES = {
    "test_a_missing_session_or_store_is_an_error",
    "test_stats_count_allocated_bytes",
    # A cache is looked at when it is opened, not first when it is read.
    "test_a_corrupt_chunk_names_itself",
    "test_nothing_of_a_forgotten_turn_is_left_in_any_file",
    "test_a_reader_never_sees_what_is_being_encoded_anew",
    "test_wherever_it_stops_the_next_writer_finishes_it",
    "test_a_search_through_all_files_leaves_the_locks_of_sqlite",
    "test_what_was_left_in_a_page_goes_too",
    # It opens the store's folder by itself.
    "test_a_reader_of_a_fork_follows_past_what_the_session_forgot_later",
    "test_a_fork_copies_nothing",
    "test_a_fork_whose_parent_is_missing_says_so",
    "test_forgetting_reaches_every_fork",
    "test_no_fork_is_made_while_a_turn_of_it_is_being_forgotten",
    "test_a_fork_that_is_deleted_meanwhile_does_not_keep_anything_from_being_forgotten",
    "test_a_reader_of_a_fork_sees_what_is_encoded_anew_below_it",
    "test_encrypted_blocks_of_a_fork_come_in_any_order",
}


def _load(name: str) -> ModuleType:
    path = Path(__file__).parents[1] / "storage" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"_remote_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_modules = {name: _load(name) for name in ("test_session", "test_forgetting", "test_forks")}
for _module in _modules.values():
    _tests = {name: test for name, test in vars(_module).items() if name.startswith("test_")}
    globals().update({name: test for name, test in _tests.items() if name not in _OF_FILES})
session = _modules["test_forgetting"].session
main = _modules["test_forks"].main


@pytest.fixture(params=["database", "objects"])
def servers(request: pytest.FixtureRequest, database: str) -> dict[str, str]:
    """Where the store lies: with an object storage, and without."""
    if request.param == "database":
        return {"database": database}
    return {"database": database, "objects": request.getfixturevalue("bucket")}


@pytest.fixture
def store(
    tmp_path: Path, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """The store, with segments of 16 chunks."""
    monkeypatch.setattr("hsa_memory.storage.geometry._MAX_CAP", 16)
    with Store.open(tmp_path / "store", **servers) as opened:
        yield opened


@pytest.fixture
def open_session(
    tmp_path: Path, servers: dict[str, str], kit: SimpleNamespace
) -> Iterator[Callable[..., SessionStore]]:
    """Opens sessions of the store; everything is closed at the end."""
    stores = []

    def opened(name: str = "alice", **options: object) -> SessionStore:
        stores.append(Store.open(tmp_path / "store", **servers))
        return stores[-1].session(name, **{"layout": kit.layout, **options})

    yield opened
    for each in stores:
        each.close()
