"""A session's derived files and the object storage: what is missing there goes up, here comes down.

An object is named by a row only once it was read back, and deleted only once no row names it. So a
crash leaves objects that nobody knows, never rows that name nothing; a writer that comes after a
crash collects them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from .cache_files import CacheFiles, Content
from .errors import CorruptMetadata, StoreError
from .findings import Problem
from .forgetting import Needles
from .holes import read_holes
from .layouts import common_fields, read_layout
from .objects import ObjectStore, digest_of
from .paths import generation_folder
from .pieces import CHUNKS, TAIL, Piece, pieces_of, put_pieces, read_pieces
from .scanning import Scan, Trace
from .truth import Truth
from .vfs import Vfs

_log = logging.getLogger(__name__)
_AT_ONCE = 8
# Pieces are tried again from their rows that often when the writer replaces them meanwhile.
_FETCHES = 3


class Mirror:
    """The objects of one session.

    Args:
        objects: where they are; None: this session has none, and what is here is all there is.
        truth: of the session.
        write: whether this is the session's writer.
        gen: the generation that matters, by default the one in use.
    """

    def __init__(
        self,
        vfs: Vfs,
        objects: ObjectStore | None,
        store_id: bytes,
        truth: Truth,
        *,
        write: bool,
        gen: int | None = None,
    ) -> None:
        self.session_id = truth.sid.hex()
        self._write = write
        self._given = gen
        self._vfs = vfs
        self._objects = objects
        self._store_id = store_id
        self._truth = truth
        self._prefix = f"{store_id.hex()}/{truth.sid.hex()}"

    @property
    def _gen(self) -> int:
        return self._truth.state.gen if self._given is None else self._given

    def _key(self, piece: Piece) -> str:
        return f"{self._prefix}/{piece.key}"

    def _files(self) -> tuple[CacheFiles, int]:
        """The files of the generation, and its chunks per segment."""
        gen, truth = self._gen, self._truth
        described = read_layout(truth, gen)
        fields = common_fields(self._store_id, truth.sid, gen, described)
        folder = generation_folder(truth.folder, gen)
        base = truth.state.base_chunk
        files = CacheFiles(self._vfs, folder, fields, described, base)
        return files, described.geometry.cap

    # ---- down

    def fetch(self) -> tuple[bool, list[Problem]]:
        """Bring here what rows name and the files do not hold.

        Returns:
            Whether a file was replaced, and which objects are damaged; the chunks of those, and of
            all after them, are not here.

        Raises:
            StoreUnreachable, StorePermission: the storage cannot be reached, and is needed.
            StoreError: it is needed, and nobody said where it is.
        """
        replaced, problems = False, []
        for _ in range(_FETCHES):
            files, _ = self._files()
            files.prepare()
            named, _ = pieces_of(self._truth)
            pieces = self._usable(named)
            missing = [piece for piece in pieces if not _is_here(files, piece)]
            missing += self._missing_tail(files, named)
            if not missing:
                break
            if self._objects is None:
                raise StoreError(
                    f"{self._truth.where}: {len(missing)} objects with its chunks are not here; "
                    "say where they are (objects=URL)"
                )
            size = sum(piece.num_bytes for piece in missing)
            _log.info("fetching %d objects, %d bytes, to %s", len(missing), size, files.folder)
            problems = self._bring(files, pieces, missing)
            replaced = True
            if self._write or not problems:
                break
            # The writer may have put others in their places.
            self._truth.load()
        return replaced, problems

    def _usable(self, named: list[Piece]) -> list[Piece]:
        """Pieces of the generation that follow one another from the session's first chunk on."""
        gen, reached, found = self._gen, self._truth.state.base_chunk, []
        for piece in named:
            if piece.gen == gen and piece.kind == CHUNKS and piece.first == reached:
                reached = piece.stop
                found.append(piece)
        return found

    def _missing_tail(self, files: CacheFiles, named: list[Piece]) -> list[Piece]:
        state = self._truth.state
        return [
            piece
            for piece in named
            if (piece.gen, piece.kind, piece.first) == (self._gen, TAIL, state.tail_serial)
            and digest_of(files.read_file(_tail_name(piece))) != piece.digest
        ]

    def _bring(self, files: CacheFiles, pieces: list[Piece], missing: list[Piece]) -> list[Problem]:
        """Fetch what is missing, one segment at a time; stops at the first damaged one."""
        problems: list[Problem] = []
        rows: list[tuple[int, bytes]] = []
        kept = next((p.first for p in pieces if p in missing), pieces[-1].stop if pieces else 0)
        _, cap = self._files()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _, group in groupby(pieces, lambda piece: piece.first // cap):
                of_segment = list(group)
                lost = [piece for piece in of_segment if piece in missing]
                if not lost:
                    rows += _rows_after(files, of_segment, kept)
                    continue
                fetched = dict(zip(lost, pool.map(self._try_to_get, lost), strict=True))
                parts: list[tuple[int, Content]] = []
                for piece in of_segment:
                    data = fetched.get(piece)
                    try:
                        parts.append((piece.first, self._content(files, piece, data)))
                    except CorruptMetadata as error:
                        problems.append(Problem(self._shown(piece), "corrupt-object", str(error)))
                        break
                files.replace_segment(of_segment[0].first, parts)
                rows += [(first, content[1]) for first, content in parts if first >= kept]
                if problems:
                    break
            if any(piece.kind == CHUNKS for piece in missing):
                files.replace_landmarks(kept, rows)
            for piece in missing:
                if piece.kind == TAIL:
                    problems += self._bring_tail(files, piece)
        return problems

    def _try_to_get(self, piece: Piece) -> bytes | CorruptMetadata:
        assert self._objects is not None
        try:
            return self._objects.get(self._key(piece), piece.num_bytes, piece.digest)
        except CorruptMetadata as error:
            return error

    def _content(
        self, files: CacheFiles, piece: Piece, data: bytes | CorruptMetadata | None
    ) -> Content:
        if isinstance(data, CorruptMetadata):
            raise data
        if data is not None:
            return files.unpack(data, piece.first, piece.stop, self._shown(piece))
        content = files.read(piece.first, piece.stop)
        if content is None:
            raise CorruptMetadata(f"chunks {piece.first}..{piece.stop - 1} have just gone")
        return content

    def _bring_tail(self, files: CacheFiles, piece: Piece) -> list[Problem]:
        data = self._try_to_get(piece)
        if isinstance(data, CorruptMetadata):
            # It is computed again from the tokens it covers.
            return [Problem(self._shown(piece), "corrupt-object", str(data))]
        files.replace_file(_tail_name(piece), data)
        return []

    def _shown(self, piece: Piece) -> str:
        assert self._objects is not None
        return f"{self._objects.shown}/{self._key(piece)}"

    # ---- up

    def push(self, *, everything: bool) -> None:
        """Store what the rows do not name yet, name it, and delete what is named no more.

        Args:
            everything: also what is not in a full segment, and the tail, as when a session is
                closed; else full segments only.

        Raises:
            StoreUnreachable, StorePermission: what was stored before that is named.
            DurabilityLost, FencedWriter: as of any commit.
        """
        if self._objects is None:
            return
        files, cap = self._files()
        named, void = pieces_of(self._truth)
        old = {piece.key for piece in named} | set(void)
        state = self._truth.state
        holes = read_holes(self._truth, state.gen)
        # What is being encoded anew goes up once that is done.
        limit = min([state.pub_chunk, *(hole.start for hole in holes)])
        here = [p for p in named if p.gen == state.gen and _is_here(files, p) and p.stop <= limit]
        kept = {piece.key for piece in named if piece.gen > state.gen}
        base = state.base_chunk
        for end in range((base // cap + 1) * cap, limit + cap, cap):
            first, stop = max(end - cap, base), min(end, limit)
            own = [piece for piece in here if first <= piece.first < stop]
            if stop == end or everything:
                own = self._covered(files, own, first, stop, full=stop == end)
            kept |= {piece.key for piece in own}
        tails = [piece for piece in named if piece.kind == TAIL]
        kept |= {piece.key for piece in (self._push_tail(files, tails) if everything else tails)}
        self._drop(old - kept)

    def _covered(
        self, files: CacheFiles, own: list[Piece], first: int, stop: int, *, full: bool
    ) -> list[Piece]:
        """Pieces that hold chunks first..stop-1 of a segment; what is missing is stored.

        A full segment is one piece. Before that each piece is longer than the next, so that there
        are few of them, and a chunk goes up a few times in all.
        """
        kept: list[Piece] = []
        for piece in own:
            if piece.first == (kept[-1].stop if kept else first):
                kept.append(piece)
        start = kept[-1].stop if kept else first
        if start == stop and (len(kept) == 1 or not full):
            return kept
        while kept and (full or kept[-1].stop - kept[-1].first <= stop - start):
            start = kept.pop().first
        data = files.pack(start, stop)
        sums = files.sums(start, stop)
        if data is None or sums is None:
            raise CorruptMetadata(f"{files.folder}: chunks {start}..{stop - 1} are not whole")
        kept.append(self._store(CHUNKS, start, stop, data, sums))
        return kept

    def _push_tail(self, files: CacheFiles, tails: list[Piece]) -> list[Piece]:
        state = self._truth.state
        if state.tail_serial <= 0:
            return []
        known = [p for p in tails if (p.gen, p.first) == (state.gen, state.tail_serial)]
        if known:
            return known
        data = files.read_file(f"tail-{state.tail_serial % 2}.bin")
        if not data:
            return []
        return [self._store(TAIL, state.tail_serial, state.pub_chunk, data, (b"", b""))]

    def _store(
        self, kind: str, first: int, stop: int, data: bytes, sums: tuple[bytes, bytes]
    ) -> Piece:
        assert self._objects is not None
        piece = Piece(
            gen=self._truth.state.gen,
            kind=kind,
            first=first,
            stop=stop,
            num_bytes=len(data),
            digest=digest_of(data),
            table_sum=sums[0],
            landmarks_sum=sums[1],
        )
        self._objects.put(self._key(piece), data)
        with self._truth.writing(self._truth.state) as connection:
            put_pieces(connection, self._truth.sid, [piece], [])
        return piece

    def _drop(self, keys: Iterable[str]) -> None:
        gone = sorted(keys)
        if not gone:
            return
        with self._truth.writing(self._truth.state) as connection:
            put_pieces(connection, self._truth.sid, [], gone)
        self._delete(gone)

    def _delete(self, keys: Iterable[str]) -> None:
        assert self._objects is not None
        self._objects.delete([f"{self._prefix}/{key}" for key in keys])

    # ---- order

    def object_bytes(self) -> list[int]:
        """Length of each object that is named."""
        return [piece.num_bytes for piece in pieces_of(self._truth)[0]]

    def orphans(self) -> list[str]:
        """Keys below the session's that no row names, by a writer that still has its lease.

        Raises:
            StoreUnreachable, StorePermission, FencedWriter.
        """
        if self._objects is None:
            return []
        # In this order: what was there before, and is not named now, never will be.
        there = [stored.key for stored in self._objects.below(self._prefix)]
        with self._truth.database.write(durable=False) as connection:
            named, _ = read_pieces(connection, self._truth.sid)
        known = {self._key(piece) for piece in named}
        return [key.removeprefix(f"{self._prefix}/") for key in there if key not in known]

    def collect(self) -> list[str]:
        """Delete orphans; returns their keys. Raises as `orphans`."""
        found = self.orphans()
        if found:
            self._delete(found)
        return found

    def search(self, needles: Needles) -> Scan:
        """Look for bytes in every object that is there, named or not."""
        if self._objects is None:
            return Scan(0, 0, [])
        there = self._objects.below(self._prefix)
        traces: list[Trace] = []
        for stored in there:
            data = self._objects.read(stored.key)
            for kind, wanted in needles.items():
                places = (data.find(needle) for needle in wanted)
                shown = f"{self._objects.shown}/{stored.key}"
                traces += [Trace(shown, kind, place) for place in places if place >= 0]
        return Scan(len(there), sum(stored.num_bytes for stored in there), traces)

    def check(self, *, repair: bool) -> list[Problem]:
        """Read every object; a repair names no more what is damaged, and deletes orphans."""
        if self._objects is None:
            return []
        named, void = pieces_of(self._truth)
        problems = [Problem(self._truth.where, "corrupt-object-row", key, repair) for key in void]
        bad = list(void)
        for piece in named:
            if isinstance(found := self._try_to_get(piece), CorruptMetadata):
                bad.append(piece.key)
                problems.append(Problem(self._shown(piece), "corrupt-object", str(found), repair))
        if repair:
            self._drop(bad)
            for key in self.collect():
                shown = f"{self._objects.shown}/{self._prefix}/{key}"
                problems.append(Problem(shown, "orphan-object", "no row names it", True))
        return problems


def delete_objects(objects: ObjectStore, store_id: bytes, session_id: str) -> None:
    """Delete all objects of a session."""
    objects.delete(stored.key for stored in objects.below(f"{store_id.hex()}/{session_id}"))


def _is_here(files: CacheFiles, piece: Piece) -> bool:
    sums = (piece.table_sum, piece.landmarks_sum)
    return piece.kind == CHUNKS and files.sums(piece.first, piece.stop) == sums


def _tail_name(piece: Piece) -> str:
    return f"tail-{piece.first % 2}.bin"


def _rows_after(files: CacheFiles, pieces: list[Piece], kept: int) -> list[tuple[int, bytes]]:
    """Landmark rows of pieces that are here, behind the first one that was not."""
    found = []
    for piece in pieces:
        content = files.read(piece.first, piece.stop) if piece.first >= kept else None
        if content is not None:
            found.append((piece.first, content[1]))
    return found
