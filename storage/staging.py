"""Sessions that are made beside a store's own: nobody sees them before all of them are whole.

They lie in a folder of `tmp/`, guarded by a lock, until they move to their places and one
transaction of the catalog lists them. Before the first moves, an empty file with the id of each,
its mark, is put into the folder, and taken away once they are listed: whoever finds that folder
without its lock removes each of them that is not.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from types import MappingProxyType
from typing import Any

from .catalog import Catalog
from .catalog_rows import Held
from .cipher import PLAIN, Cipher
from .creating import new_start, write_files
from .errors import SessionBusy, SessionExists, StoreError
from .locks import FileLock, catalog_lock, try_lock
from .names import make_fan
from .owner_notes import destroy_key
from .paths import session_folder, session_ids
from .reserve import Reserve
from .session import SessionStore
from .types import Layout, SessionInfo
from .vfs import Vfs

_HEX = set("0123456789abcdef")
_log = logging.getLogger(__name__)


class Staging:
    """Sessions on their way into a store; a context manager that removes what was not installed.

    Args:
        root: of the store.
        place: where they are made, a folder that outlives this object; by default one in `tmp/`
            that does not.
    """

    def __init__(self, vfs: Vfs, root: str, store_id: bytes, place: str | None = None) -> None:
        self._vfs = vfs
        self._root = root
        self._store_id = store_id
        name = os.urandom(16).hex()
        self._lock = self._locked(name)
        self._folder = os.path.join(root, "tmp", name)
        self.place = place or self._folder
        self._open: list[SessionStore] = []
        vfs.ensure_dir(os.path.dirname(self._folder))
        for folder in (self._folder, self.place):
            vfs.ensure_dir(folder)

    def _locked(self, name: str) -> FileLock:
        lock = try_lock(self._vfs, os.path.join(self._root, "locks", f"s-{name}.lock"))
        if lock is None:
            raise SessionBusy(f"session {name} is being written by another handle or process")
        return lock

    def found(self) -> list[str]:
        """Ids of the sessions that lie here, made by this object or an earlier one."""
        return list(session_ids(self._vfs, self.place))

    def make(
        self,
        info: SessionInfo,
        layout: Layout,
        cipher: Cipher = PLAIN,
        owner: dict[str, Any] | None = None,
    ) -> SessionStore:
        """A new session, open for writing; it is closed before `install`."""
        folder = session_folder(self.place, info.id)
        for parent in (self.place, os.path.join(self.place, "s"), os.path.dirname(folder)):
            self._vfs.ensure_dir(parent)
        write_files(self._vfs, folder, self._store_id, info, new_start(layout, cipher, owner))
        return self.open(info, layout, cipher)

    def open(self, info: SessionInfo, layout: Layout, cipher: Cipher = PLAIN) -> SessionStore:
        """A session that lies here, open for writing."""
        lock = self._locked(info.id)
        try:
            store = SessionStore(
                self._vfs,
                self.place,
                self._store_id,
                info,
                layout=layout,
                lock=lock,
                cipher=cipher,
            )
        except BaseException:
            lock.release()
            raise
        self._open.append(store)
        return store

    def install(
        self,
        catalog: Catalog,
        infos: Iterable[SessionInfo],
        *,
        gone: SessionInfo | None = None,
        held: Mapping[str, Held] = MappingProxyType({}),
    ) -> None:
        """Put sessions into their places and list them, all or none; under the catalog's lock.

        What fails is undone under the same lock: nobody may build on half of it.

        Args:
            gone: a session that is deleted in the same moment.
            held: tokens and bytes that sessions hold of a quota, by id.

        Raises:
            SessionExists: one of their names is taken; nothing was changed.
        """
        infos = list(infos)
        for info in infos:
            there = catalog.find(info.name, info.user)
            if there is not None and (gone is None or there.id != gone.id):
                raise SessionExists(
                    f"there is a session {info.name!r} already; rename one of the two"
                )
        self._close_sessions()
        try:
            for info in infos:
                self._vfs.close(self._vfs.open(os.path.join(self._folder, info.id), create=True))
            self._vfs.sync_dir(self._folder)
            self._vfs.sync_dir(os.path.dirname(self._folder))
            for info in infos:
                self._move(info.id)
            catalog.replace(infos, gone, held)
        except BaseException:
            self._undo(catalog)
            raise
        with suppress(StoreError):
            _drop_marks(self._vfs, self._folder)

    def _move(self, session_id: str) -> None:
        folder = session_folder(self._root, session_id)
        self._vfs.ensure_dir(os.path.join(self._root, "s"))
        fan = make_fan(self._vfs, folder)
        self._vfs.rename(session_folder(self.place, session_id), folder)
        self._vfs.sync_dir(fan)

    def _undo(self, catalog: Catalog) -> None:
        try:
            Reserve(self._vfs, self._root).used_by(
                lambda: _remove_unlisted(self._vfs, self._root, self._folder, catalog)
            )
        except StoreError as error:
            # A failing disk has told so already; whoever comes next finds the marks.
            _log.warning("%s: what was installed stays for now: %s", self._folder, error)

    def _close_sessions(self) -> None:
        with ExitStack() as closing:
            while self._open:
                closing.callback(self._open.pop().close)

    def close(self, catalog: Catalog) -> None:
        """Close what is open and remove what is left of this object in `tmp/`; not under the
        catalog's lock."""
        try:
            self._close_sessions()
            marked = _marks(self._vfs, self._folder)
            with catalog_lock(self._vfs, self._root) if marked else nullcontext():
                _clear_leftover(self._vfs, self._root, self._folder, catalog)
        except StoreError as error:
            _log.warning("%s: stays for now: %s", self._folder, error)
        finally:
            self._lock.release()


@contextmanager
def announced(vfs: Vfs, root: str, session_id: str) -> Iterator[None]:
    """Have a session that moves to its place in here removed by whoever comes next, unless it is
    listed when this is left; under the catalog's lock.

    An unlisted one would not keep what it was forked from, and could not be read without it.
    """
    folder = os.path.join(root, "tmp", os.urandom(16).hex())
    vfs.make_dir(folder)
    vfs.close(vfs.open(os.path.join(folder, session_id), create=True))
    yield
    vfs.remove_tree(folder)


def sweep_leftover(vfs: Vfs, root: str, path: str, catalog: Catalog) -> None:
    """Remove something from `tmp/` or `trash/`, unless somebody works on it; under the catalog's
    lock."""
    with _is_idle(vfs, root, os.path.basename(path)) as idle:
        if idle:
            _clear_leftover(vfs, root, path, catalog)


@contextmanager
def _is_idle(vfs: Vfs, root: str, name: str) -> Iterator[bool]:
    """Whether nobody works on what has that name; nobody begins before this is left."""
    path = os.path.join(root, "locks", f"s-{name}.lock")
    if not is_id(name) or vfs.lstat(path) is None:
        yield True
        return
    lock = try_lock(vfs, path)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


def _clear_leftover(vfs: Vfs, root: str, path: str, catalog: Catalog) -> None:
    if _remove_unlisted(vfs, root, path, catalog):
        vfs.remove_tree(path)


def _remove_unlisted(vfs: Vfs, root: str, path: str, catalog: Catalog) -> bool:
    """Remove the sessions that were to be installed from a folder and are not listed, and their
    marks; under the catalog's lock. False: somebody has one of them open.

    A listing whose sync has failed is not seen by who wrote it, but may be there for whoever opens
    the catalog next. So each removal is decided in the catalog first, in the place of that.
    """
    marks = _marks(vfs, path)
    if not marks:
        return True
    listed = {info.id for info in catalog.sessions()}
    for session_id in sorted(marks - listed):
        if vfs.lstat(session_folder(root, session_id)) is None:
            continue
        with _is_idle(vfs, root, session_id) as idle:
            if not idle:
                return False
            # With its user is more than by itself: her keys are to be destroyed.
            if not catalog.deletion(session_id):
                catalog.mark_deleted(SessionInfo(name="", id=session_id, created=0.0))
            finish_deletion(vfs, root, catalog, session_id)
    _drop_marks(vfs, path)
    return True


def drop_all_marks(vfs: Vfs, root: str) -> None:
    """Have every session that is in its place stay, listed or not; under the catalog's lock."""
    above = os.path.join(root, "tmp")
    for name in vfs.list_dir(above) if _is_dir(vfs, above) else []:
        _drop_marks(vfs, os.path.join(above, name))


def _drop_marks(vfs: Vfs, path: str) -> None:
    if marks := _marks(vfs, path):
        for session_id in marks:
            vfs.unlink(os.path.join(path, session_id))
        vfs.sync_dir(path)


def _marks(vfs: Vfs, path: str) -> set[str]:
    """Ids of the sessions that may have moved from a folder of `tmp/` to their places."""
    names: list[str] = []
    if _is_dir(vfs, path):
        # Who has none in it removes it without the lock.
        with suppress(FileNotFoundError):
            names = [name for name in vfs.list_dir(path) if is_id(name)]
    return {name for name in names if not _is_dir(vfs, os.path.join(path, name))}


def _is_dir(vfs: Vfs, path: str) -> bool:
    status = vfs.lstat(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def finish_deletion(vfs: Vfs, root: str, catalog: Catalog, session_id: str) -> None:
    """Remove what is left of a session whose deletion was decided; under the catalog's lock."""
    folder = session_folder(root, session_id)
    trash = os.path.join(root, "trash")
    grave = os.path.join(trash, session_id)
    if vfs.lstat(folder) is not None:
        vfs.ensure_dir(trash)
        vfs.rename(folder, grave)
        vfs.sync_dir(os.path.dirname(folder))
        vfs.sync_dir(trash)
    if catalog.deletion(session_id) == 2:
        destroy_key(vfs, grave)
    vfs.remove_tree(grave)
    if vfs.lstat(trash) is not None:
        # Or a power cut would bring the files back.
        vfs.sync_dir(trash)
    # A commit, which syncs the catalog's log: what that was before it was emptied is gone too.
    catalog.remove(session_id)


def is_id(name: str) -> bool:
    """Whether a name is one that we make up."""
    return len(name) == 32 and set(name) <= _HEX
