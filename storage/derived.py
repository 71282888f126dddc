"""The watermark: which derived bytes of a session are visible, and how it moves."""

from __future__ import annotations

import operator
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from .errors import StoreError
from .findings import Problem
from .generation import Generation
from .holes import Holes, merged, put_holes, put_seams, read_holes, read_seams, within
from .layouts import Description, common_fields, read_layout
from .parts import NO_END, Part
from .paths import generation_folder
from .records import Seal
from .rows import State
from .seals import drop_seals, put_seals, read_seals
from .tail import Tails
from .truth import Truth
from .vfs import Vfs
from .weak import Dropped, weakly

_CHECKPOINT_CHUNKS = 64
_CHECKPOINT_SECONDS = 5.0


class Derived:
    """Derived files of a session under its state row.

    Args:
        folder: the session's directory.
        truth: loaded; its state row holds the watermark.
        write: whether this is the session's writer.
        dropped: called inside the transaction that makes chunks of a generation void.
        is_cache: others may have written the session since these files were; what no seal vouches
            for is then compared with its tokens, however long it has been there.
    """

    def __init__(
        self,
        vfs: Vfs,
        folder: str,
        store_id: bytes,
        sid: bytes,
        truth: Truth,
        *,
        write: bool,
        dropped: Dropped = lambda *_: None,
        is_cache: bool = False,
    ) -> None:
        self._dropped = weakly(dropped)
        self._is_cache = is_cache
        self._vfs, self._folder = vfs, folder
        self._store_id = store_id
        self._sid = sid
        self._truth = truth
        self._write = write
        self._checkpointed = time.monotonic()
        # Of this session's own chunks, and of those it shares.
        self.holes: list[range] = []
        self._seams: dict[int, int] = {}
        self._shared: list[tuple[Part, Truth]] = []
        self._shared_holes: list[range] = []
        self._shared_seams: dict[int, int] = {}
        # What can be read, and whether anybody has looked since the files were opened.
        self.published, self.taken_in = 0, False
        self._open()

    def _open(self) -> None:
        truth, gen = self._truth, self._truth.state.gen
        described = read_layout(truth, gen)
        self.layout, self._geometry = described.layout, described.geometry
        base = truth.state.base_chunk
        own = self._part(truth, described, write=self._write, first=base)
        self._shared = self._bases(base)
        parts = [*(part for part, _ in reversed(self._shared)), own]
        common = common_fields(self._store_id, self._sid, gen, described)
        self.generation = Generation(
            self._vfs,
            gen,
            described,
            parts,
            Tails(self._vfs, own.folder, common, truth.cipher),
            chain_seed=described.seed_in(self._store_id, self._sid),
            tokens_of=truth.stream.tokens_of,
        )

    def _part(
        self,
        truth: Truth,
        described: Description,
        *,
        write: bool = False,
        first: int,
        stop: int = NO_END,
    ) -> Part:
        gen = self._truth.state.gen
        return Part(
            self._vfs,
            generation_folder(truth.folder, gen),
            common_fields(self._store_id, truth.sid, gen, described),
            described,
            truth.cipher,
            write=write,
            first=first,
            stop=stop,
        )

    def _bases(self, stop: int) -> list[tuple[Part, Truth]]:
        """Where chunks below `stop` lie: in the session this one was forked from, and in those that
        one was forked from."""
        found: list[tuple[Part, Truth]] = []
        truth = self._truth
        while stop and truth.base is not None:
            truth = truth.base.truth
            first = min(stop, truth.state.base_chunk)
            if first < stop:
                described = read_layout(truth, self._truth.state.gen)
                found.append((self._part(truth, described, first=first, stop=stop), truth))
            stop = first
        return found

    def reopen(self) -> None:
        """Forget everything about the files and read them again."""
        self.generation.close()
        self.published, self.taken_in = 0, False
        self._open()

    def has_holes(self) -> bool:
        """Whether chunks of this session's own wait to be wiped or encoded anew."""
        return bool(read_holes(self._truth, self._truth.state.gen))

    def follow(self, *, thorough: bool = False) -> list[Problem]:
        """Take in what the state row publishes, up to the first chunk that cannot be used.

        The writer lowers the watermark to that chunk; a reader only sees less. `thorough` as of
        `Generation.advance`.
        """
        if not self.taken_in and self.generation.count:
            self.reopen()  # an earlier attempt was interrupted
        state = self._truth.state
        known = self.generation.count
        seals: dict[int, Seal] = {}
        self._shared_holes, self._shared_seams = [], {}
        for part, truth in reversed(self._shared):
            here = range(part.first, part.stop)
            truth.load()  # it may have grown, and have holes there
            holes = (within(hole, here) for hole in read_holes(truth, state.gen))
            self._shared_holes += filter(None, holes)
            seams = read_seams(truth, state.gen)
            self._shared_seams |= {m: x for m, x in seams.items() if m in here}
            seals |= read_seals(truth, state.gen)
        self._set_holes(read_holes(self._truth, state.gen), read_seams(self._truth, state.gen))
        seals |= read_seals(self._truth, state.gen)
        problems = self.generation.advance(
            state.pub_chunk, state.durable_chunk, seals, thorough=thorough or self._is_cache
        )
        good = self.generation.count
        # Published but never forced to disk: may be torn after a power cut.
        unsynced = np.arange(max(known, min(state.durable_chunk, good)), good)
        if self._is_cache:
            unsynced = self.generation.records.unsure(known, good)
        bad = self.generation.bad_chunks(unsynced[~self.generation.in_holes(unsynced)])
        if bad:
            good = bad[0]
            path = self.generation.segment_path(good)
            problems.append(Problem(path, "corrupt-chunk", f"chunk {good}"))
        self.generation.roll_back(good)
        if self._write:
            self.generation.keep_unsynced(state.durable_chunk, good)
        self.published = good
        if self._write and good < state.pub_chunk:
            self.roll_back(good)
        if self._write and good <= self.generation.own.first:
            self.generation.own.remake_landmarks()
        if self._write and self.holes:
            self._wipe()
        self.taken_in = True
        return problems

    def _set_holes(self, holes: list[range], seams: dict[int, int]) -> None:
        self.holes, self._seams = holes, seams
        self.generation.holes = [*self._shared_holes, *holes]
        self.generation.records.seams = {**self._shared_seams, **seams}

    def _wipe(self) -> None:
        """Have nothing left of what the holes held; at each opening, for a crash may come first."""
        for hole in self.holes:
            self.generation.wipe(hole.start, hole.stop)
        if self._truth.state.tail_serial <= 0:
            self.generation.tails.wipe()

    # ---- writing

    def write_chunks(self, first: int, landmarks: NDArray[np.uint8], kv: NDArray[np.uint8]) -> None:
        """See SessionStore.write_chunks."""
        first = operator.index(first)
        landmarks, kv = self._checked(first, landmarks, kv)
        if not len(kv):
            return
        tokens = self._tokens_for(first, first + len(kv))
        self.generation.roll_back(first)
        self.generation.write(first, landmarks, kv, *tokens)

    def _tokens_for(self, first: int, stop: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        size, lookahead = self.layout.chunk_size, self.layout.lookahead
        return self._truth.stream.tokens_with_ends(first * size, stop * size, size, lookahead)

    def _checked(
        self, first: int, landmarks: NDArray[np.uint8], kv: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        landmarks, kv = self._shaped(landmarks, kv)
        if not self.published <= first <= self.generation.count:
            raise ValueError(
                f"first chunk is {first}; expected {self.published} (published) to "
                f"{self.generation.count} (written)"
            )
        available = self.layout.num_chunks(self._truth.state.n_tok)
        if first + len(kv) > available:
            raise ValueError(f"chunks up to {first + len(kv)}, but tokens for {available} only")
        return landmarks, kv

    def _shaped(
        self, landmarks: NDArray[np.uint8], kv: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        widths = {"landmarks": self.layout.landmark_bytes, "kv": self.layout.kv_bytes}
        for name, array in (("landmarks", landmarks), ("kv", kv)):
            shape = (len(kv), widths[name])
            if array.dtype != np.uint8 or array.shape != shape:
                raise ValueError(
                    f"{name} must be uint8 {list(shape)}, got {array.dtype} {list(array.shape)}"
                )
        return np.ascontiguousarray(landmarks), np.ascontiguousarray(kv)

    def publish(self, num_chunks: int, tail: bytes) -> None:
        """See SessionStore.publish."""
        num_chunks = operator.index(num_chunks)
        if not self.published <= num_chunks <= self.generation.count:
            raise ValueError(
                f"cannot publish {num_chunks} chunks: {self.published} are published and "
                f"{self.generation.count} written"
            )
        state = self._truth.state
        serial = abs(state.tail_serial) + 1
        chain = self.generation.records.chain_before(num_chunks)
        self.generation.tails.write(serial, num_chunks, chain, tail)
        self._commit(replace(state, pub_chunk=num_chunks, tail_serial=serial, clean=0))

    def _commit(self, new: State, *, force_sync: bool = False) -> None:
        """Commit a watermark; bytes are synced before it when a segment fills or it is time."""
        old = self._truth.state
        seals = self.generation.seals(old.pub_chunk, new.pub_chunk, new.pub_chunk)
        seals = {n: seal for n, seal in seals.items() if n >= old.pub_chunk // self._geometry.cap}
        pending = new.pub_chunk - new.durable_chunk
        late = time.monotonic() - self._checkpointed > _CHECKPOINT_SECONDS
        if force_sync or seals or pending >= _CHECKPOINT_CHUNKS or (late and pending):
            self.generation.sync()
            self._checkpointed = time.monotonic()
            new = replace(new, durable_chunk=new.pub_chunk)
        with self._truth.writing(new) as connection:
            put_seals(connection, self._sid, new.gen, seals)
        self.published = new.pub_chunk
        self._truth.database.checkpoint(only_if_large=True)

    def settle(self) -> None:
        """Sync what is published and note a clean end, unless nothing has changed."""
        state = self._truth.state
        synced = state.durable_chunk == state.pub_chunk
        # What an earlier writer left unsynced is synced by whoever looks at it.
        nothing_to_do = state.clean if synced else not self.taken_in
        if not nothing_to_do:
            self._commit(replace(state, clean=1), force_sync=True)

    def roll_back(self, num_chunks: int) -> None:
        """Lower the watermark; readers that follow start over."""
        state = self._truth.state
        num_chunks = self.generation.records.last_sound(operator.index(num_chunks))
        self.generation.roll_back(num_chunks)
        new = replace(
            state,
            pub_chunk=num_chunks,
            durable_chunk=min(num_chunks, state.durable_chunk),
            revision=state.revision + 1,
        )
        # What is shared up to there stays so, what follows becomes this session's own.
        new = replace(new, base_chunk=min(num_chunks, state.base_chunk))
        if num_chunks < state.pub_chunk:
            # Negative: the serial is used up and no tail belongs to the watermark.
            new = replace(new, tail_serial=-abs(state.tail_serial))
        below = range(num_chunks)
        holes = [span for hole in self.holes if (span := within(hole, below))]
        seams = {m: x for m, x in self._seams.items() if m in below}
        # A state row that calls chunks durable must not come back while they are written again.
        with self._truth.writing(new, durable=num_chunks < state.durable_chunk) as connection:
            drop_seals(connection, new.gen, num_chunks // self._geometry.cap)
            self._dropped(connection, new.gen, range(num_chunks, 1 << 62))
            put_holes(connection, self._sid, new.gen, holes)
            put_seams(connection, self._sid, new.gen, seams)
        if num_chunks < state.base_chunk:
            self.generation.lower_base(num_chunks)
            self._shared_holes = [x for hole in self._shared_holes if (x := within(hole, below))]
            self._shared_seams = {m: x for m, x in self._shared_seams.items() if m in below}
        self._set_holes(holes, seams)
        self.published = num_chunks

    # ---- forgetting

    def open_holes(self, connection: sa.Connection, spans: Sequence[range]) -> Holes:
        """Make holes of chunks, inside the transaction that blanks their tokens.

        What they hold is gone from the disk once `take_holes` returns for the result.
        """
        generation, gen = self.generation, self._truth.state.gen
        holes = merged([*self.holes, *spans])
        inside = {x for x in self._seams if any(hole.start < x < hole.stop for hole in holes)}
        seams = {chunk: chain for chunk, chain in self._seams.items() if chunk not in inside}
        for hole in holes:
            if hole.stop < self.published:
                seams[hole.stop] = generation.records.chain_before(hole.stop)
        put_holes(connection, self._sid, gen, holes)
        put_seams(connection, self._sid, gen, seams)
        for span in spans:
            cap = self._geometry.cap
            drop_seals(connection, gen, span.start // cap, -(-span.stop // cap))
            self._dropped(connection, gen, span)
        return Holes(holes, seams)

    def take_holes(self, made: Holes) -> None:
        """Wipe the holes of a transaction that was committed."""
        self._set_holes(made.holes, made.seams)
        self._wipe()

    def fill(self, first: int, landmarks: NDArray[np.uint8], kv: NDArray[np.uint8]) -> None:
        """See SessionStore.fill."""
        holes = self.holes
        hole = next((hole for hole in holes if hole.start == first), None)
        if hole is None or first + len(kv) > hole.stop or not len(kv):
            raise ValueError(
                f"chunks {first}..{first + len(kv) - 1} do not begin a hole; expected the first of "
                f"{[(hole.start, hole.stop - 1) for hole in holes]}"
            )
        landmarks, kv = self._shaped(landmarks, kv)
        stop = first + len(kv)
        self.generation.write(first, landmarks, kv, *self._tokens_for(first, stop))
        self.generation.sync()
        left = [span for x in holes if (span := range(stop, x.stop) if x is hole else x)]
        self._set_holes(left, self._seams)
        state = self._truth.state
        seals = self.generation.seals(first, stop, state.pub_chunk)
        with self._truth.writing(replace(state, revision=state.revision + 1)) as connection:
            put_holes(connection, self._sid, state.gen, left)
            put_seals(connection, self._sid, state.gen, seals)

    # ---- reading

    def landmarks(self, first: int, stop: int | None) -> NDArray[np.uint8]:
        """See SessionStore.landmarks."""
        return self.generation.landmarks(*slice(first, stop).indices(self.published)[:2])

    def gather(
        self, ids: NDArray[np.int64] | Sequence[int], out: NDArray[np.uint8] | None
    ) -> NDArray[np.uint8]:
        """See SessionStore.gather."""
        wanted = np.asarray(ids, dtype=np.int64).reshape(-1)
        # A list: for a few ids each call of numpy costs as much as a checksum.
        chunks, count = wanted.tolist(), self.published
        if chunks and not (min(chunks) >= 0 and max(chunks) < count):
            found = f"chunk ids {min(chunks)}..{max(chunks)}"
            raise IndexError(f"{found}, {count} chunks are published")
        shape = (len(wanted), self.layout.kv_bytes)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ValueError(f"out must be a contiguous uint8 {list(shape)}")
        if len(wanted):
            self.generation.gather(wanted, out, self._truth.state.durable_chunk)
        return out

    def tail(self) -> tuple[bytes | None, Problem | None]:
        """The tail, or None and perhaps what is wrong with it."""
        state = self._truth.state
        if self.published != state.pub_chunk or state.tail_serial <= 0:
            return None, None
        tails = self.generation.tails
        try:
            chain = self.generation.records.chain_before(self.published)
            return tails.read(state.tail_serial, self.published, chain), None
        except StoreError as error:
            return None, Problem(tails.path(state.tail_serial), "corrupt-tail", str(error))

    def close(self) -> None:
        """Close all files."""
        self.generation.close()
