"""Derived files of one session under one model: K/V segments, landmarks, tail.

Everything here is a function of the tokens. Bytes below the session's watermark are
published; what lies above is garbage that nobody reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checksums import bound_sums, chain_next, rows_of, xxh3_bytes
from .errors import CorruptChunk, CorruptMetadata
from .geometry import RECORD, RECORD_SUMMED_BYTES, Geometry
from .landmarks import Landmarks, create_landmarks
from .segment import Records, Segment, runs
from .tail import Tails
from .types import Layout
from .vfs import Vfs

_SCAN = 64
TokensOf = Callable[[Sequence[int]], dict[int, tuple[int, NDArray[np.uint32]]]]


@dataclass(frozen=True)
class Problem:
    """Why derived bytes from some chunk on cannot be used."""

    path: str
    kind: str
    detail: str
    repaired: bool = False


@dataclass(frozen=True)
class Seal:
    """Digests of a full, published segment."""

    table_sum: bytes
    landmarks_sum: bytes


class Generation:
    """The open files of one generation.

    Args:
        folder: the generation's directory.
        common: what every header of the generation says.
        chain_seed: chain hash before chunk 0.
        tokens_of: verified tokens of turns, from the truth.
    """

    def __init__(
        self,
        vfs: Vfs,
        folder: str,
        common: dict[str, Any],
        layout: Layout,
        geometry: Geometry,
        *,
        chain_seed: int,
        tokens_of: TokensOf,
        write: bool,
    ) -> None:
        self._vfs = vfs
        self.folder = folder
        self._common = common
        self.number = int(common["gen"])
        self._layout = layout
        self._geometry = geometry
        self._chain_seed = chain_seed
        self._tokens_of = tokens_of
        self._write = write
        self._segments: dict[int, Segment] = {}
        self._dirty: set[int] = set()
        self._landmarks: Landmarks | None = None
        self.tails = Tails(vfs, folder, common)
        # Records of chunks 0..count-1, and which of them were seen to match the truth.
        self._records: Records = np.zeros(0, RECORD)
        self._bound = np.zeros(0, bool)
        self.count = 0

    # ---- opening

    def advance(self, published: int, seals: dict[int, Seal]) -> list[Problem]:
        """Take in chunks count..published-1; stops before the first that cannot be used."""
        try:
            good = min(published, self._open_landmarks().capacity)
            problem = Problem(self.landmarks_path, "short-file", f"rows for {good} chunks only")
        except CorruptMetadata as error:
            good, problem = 0, Problem(self.landmarks_path, "bad-header", str(error))
        problems = [problem] if good < published else []
        first = self.count
        while first < good:
            stop = min(good, (first // self._geometry.cap + 1) * self._geometry.cap)
            reached, found = self._advance_segment(first, stop, seals)
            self.count = reached
            problems += found
            if reached < stop:
                break
            first = stop
        return problems

    def _advance_segment(
        self, first: int, stop: int, seals: dict[int, Seal]
    ) -> tuple[int, list[Problem]]:
        n = self._geometry.segment_of(first)
        path = self.segment_path(n)
        try:
            segment = self._open_segment(n)
        except CorruptMetadata as error:
            return first, [Problem(path, "bad-segment", str(error))]
        records = segment.read_records(first, stop)
        usable = min(first + len(records), segment.whole_blocks(first, stop))
        problems = []
        if usable < stop:
            problems.append(Problem(path, "short-file", f"bytes for chunks below {usable} only"))
        self._keep_records(first, records[: usable - first])
        seal = seals.get(n)
        full = first == n * self._geometry.cap and usable == first + self._geometry.cap
        if seal is None or not full or self._seal(n) != seal:
            bad = self._first_bad(first, usable, with_records=seal is not None)
            if bad < usable:
                problems.append(Problem(path, "corrupt-landmark", f"chunk {bad}"))
                usable = bad
        return usable, problems

    def _first_bad(self, first: int, stop: int, *, with_records: bool) -> int:
        """First chunk of first..stop-1 whose landmark (or record) fails its checksum."""
        records = self._records[first:stop]
        good = self.landmark_sums(first, stop) == records["landmark_sum"]
        if with_records:
            good &= self.record_sums(first, stop) == records["record_sum"]
        return stop if good.all() else first + int(np.argmin(good))

    def _open_landmarks(self) -> Landmarks:
        if self._landmarks is None:
            self._landmarks = Landmarks(
                self._vfs,
                self.landmarks_path,
                self._common,
                self._layout.landmark_bytes,
                write=self._write,
            )
        return self._landmarks

    def _open_segment(self, n: int) -> Segment:
        if n not in self._segments:
            self._segments[n] = Segment.open(
                self._vfs,
                self.segment_path(n),
                self.segment_fields(n),
                self._geometry,
                self._layout.kv_bytes,
                write=self._write,
            )
        return self._segments[n]

    def segment_fields(self, n: int) -> dict[str, Any]:
        """What the header of segment n says."""
        return {**self._common, "chunk0": n * self._geometry.cap}

    def segment_path(self, n: int) -> str:
        """Path of segment n."""
        return os.path.join(self.folder, f"kv-{n}.seg")

    @property
    def landmarks_path(self) -> str:
        """Path of the landmark file."""
        return os.path.join(self.folder, "landmarks.bin")

    # ---- checksums

    def chain_before(self, chunk: int) -> int:
        """Chain hash of all tokens before a chunk."""
        return int(self._records["chain"][chunk - 1]) if chunk else self._chain_seed

    def landmark_sums(self, first: int, stop: int) -> NDArray[np.uint64]:
        """Checksums that the stored landmark rows have now."""
        ids = np.arange(first, stop)
        rows = self._open_landmarks().rows(stop)[first:stop]
        return bound_sums(self.number, ids, self._records["chain"][first:stop], rows)

    def record_sums(self, first: int, stop: int) -> NDArray[np.uint64]:
        """Checksums that the records in memory have now."""
        return self._sums_of(np.arange(first, stop), self._records[first:stop])

    def _sums_of(self, ids: NDArray[np.int64], records: Records) -> NDArray[np.uint64]:
        raw = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), -1)
        summed = np.ascontiguousarray(raw[:, :RECORD_SUMMED_BYTES])
        return bound_sums(self.number, ids, records["chain"], summed)

    def first_unbound(self, ids: NDArray[np.int64]) -> list[int]:
        """Those of the chunks whose record is damaged or was made for other tokens."""
        ids = np.unique(ids[~self._bound[ids]])
        if not len(ids):
            return []
        whole = self._sums_of(ids, self._records[ids]) == self._records["record_sum"][ids]
        bad = ids[~whole].tolist()
        bad += self._foreign(ids[whole].tolist())
        self._bound[ids] = True
        self._bound[bad] = False
        return sorted(bad)

    def _foreign(self, ids: list[int]) -> list[int]:
        """Chunks whose chain hash does not follow from the truth's tokens."""
        size = self._layout.chunk_size
        last = self._records["last_seq"]
        spans = {i: range(int(last[i - 1]) if i else 0, int(last[i]) + 1) for i in ids}
        wanted = sorted({seq for span in spans.values() for seq in span})
        tokens = self._tokens_of(wanted)
        bad = []
        for i, span in spans.items():
            start = tokens[span[0]][0]
            joined = np.concatenate([tokens[seq][1] for seq in span])
            own = joined[i * size - start : (i + 1) * size - start].astype("<u4", copy=False)
            if chain_next(self.chain_before(i), own.tobytes()) != self._records["chain"][i]:
                bad.append(i)
        return bad

    def _seal(self, n: int) -> Seal:
        first = n * self._geometry.cap
        stop = first + self._geometry.cap
        rows = self._open_landmarks().rows(stop)[first:stop]
        return Seal(
            xxh3_bytes(self._records[first:stop].tobytes()),
            xxh3_bytes(memoryview(rows.reshape(-1))),
        )

    # ---- writing

    def write(
        self,
        first: int,
        landmarks: NDArray[np.uint8],
        kv: NDArray[np.uint8],
        tokens: NDArray[np.uint32],
        last_seqs: NDArray[np.int64],
    ) -> None:
        """Write chunks first, first+1, ... with their records; nobody sees them yet.

        Args:
            landmarks: [n, landmark_bytes].
            kv: [n, kv_bytes].
            tokens: [n * chunk_size], the chunks' own tokens from the truth.
            last_seqs: [n], the turn that holds each chunk's last token.
        """
        records = self._make_records(first, landmarks, kv, tokens, last_seqs)
        for start, chunk, length in runs(range(first, first + len(kv)), self._geometry.cap):
            n = self._geometry.segment_of(chunk)
            segment = self._segments.get(n) or self._new_segment(n)
            part = slice(start, start + length)
            segment.write_blocks(chunk, kv[part])
            segment.write_records(chunk, records[part])
            self._dirty.add(n)
        self._open_landmarks().write(first, landmarks)
        self._keep_records(first, records)
        self._bound[first : first + len(kv)] = True
        self.count = first + len(kv)

    def _make_records(
        self,
        first: int,
        landmarks: NDArray[np.uint8],
        kv: NDArray[np.uint8],
        tokens: NDArray[np.uint32],
        last_seqs: NDArray[np.int64],
    ) -> Records:
        ids = np.arange(first, first + len(kv))
        records = np.zeros(len(kv), RECORD)
        chains = np.empty(len(kv), np.uint64)
        chain = self.chain_before(first)
        raw = tokens.astype("<u4", copy=False).view(np.uint8).reshape(len(kv), -1)
        for i, own in enumerate(rows_of(np.ascontiguousarray(raw))):
            chain = chain_next(chain, own)
            chains[i] = chain
        records["chain"] = chains
        records["kv_sum"] = bound_sums(self.number, ids, chains, kv)
        records["landmark_sum"] = bound_sums(self.number, ids, chains, landmarks)
        records["tok0"] = ids * self._layout.chunk_size
        records["last_seq"] = last_seqs
        records["n_tok"] = self._layout.chunk_size
        records["record_sum"] = self._sums_of(ids, records)
        return records

    def _new_segment(self, n: int) -> Segment:
        path = self.segment_path(n)
        if self._vfs.lstat(path) is not None:
            try:
                return self._open_segment(n)
            except CorruptMetadata:
                # Left by a crash before its header was whole, or refused at open.
                self._vfs.unlink(path)
        fields = self.segment_fields(n)
        segment = Segment.create(self._vfs, path, fields, self._geometry, self._layout.kv_bytes)
        self._segments[n] = segment
        self._vfs.sync_dir(self.folder)
        return segment

    def _keep_records(self, first: int, records: Records) -> None:
        stop = first + len(records)
        if stop > len(self._records):
            room = max(stop, len(self._records) * 3 // 2, 64)
            grown = np.zeros(room, RECORD)
            grown[:first] = self._records[:first]
            self._records = grown
            self._bound = np.resize(self._bound, room)
            self._bound[first:] = False
        self._records[first:stop] = records
        self._bound[first:stop] = False

    def remake_landmarks(self) -> None:
        """Replace a landmark file that cannot be opened; nothing may be published."""
        try:
            self._open_landmarks()
        except CorruptMetadata:
            with suppress(FileExistsError):
                self._vfs.make_dir(self.folder)
            self._vfs.unlink(self.landmarks_path)
            create_landmarks(self._vfs, self.landmarks_path, self._common)
            self._vfs.sync_dir(self.folder)
            self._vfs.sync_dir(os.path.dirname(self.folder))

    def sync(self) -> None:
        """Force everything written to the disk."""
        for n in sorted(self._dirty):
            self._segments[n].sync()
        if self._dirty:
            self._open_landmarks().sync()
        self._dirty.clear()

    def seals(self, old: int, new: int) -> dict[int, Seal]:
        """Seals of the segments that a watermark from `old` to `new` completes."""
        cap = self._geometry.cap
        return {n: self._seal(n) for n in range(old // cap, new // cap)}

    def roll_back(self, count: int) -> None:
        """Forget chunks from `count` on; their bytes are overwritten later."""
        self.count = min(self.count, count)
        self._bound[self.count :] = False

    def segment_of(self, chunk: int) -> int:
        """Number of the segment that holds a chunk."""
        return self._geometry.segment_of(chunk)

    # ---- reading

    def landmarks(self, count: int) -> NDArray[np.uint8]:
        """Landmark rows of the first `count` chunks, read-only."""
        if count == 0:
            return np.empty((0, self._layout.landmark_bytes), np.uint8)
        return self._open_landmarks().rows(count)

    def gather(self, ids: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """Fill out [n, kv_bytes] with the verified blocks of ids [n].

        Raises:
            CorruptChunk: naming every chunk that cannot be trusted.
        """
        bad = set(self.first_unbound(ids))
        listed = ids.tolist()
        for start, first, length in runs(listed, self._geometry.cap):
            segment = self._segments[self._geometry.segment_of(first)]
            if not segment.read_blocks(first, out[start : start + length]):
                bad.update(range(first, first + length))
        found = bound_sums(self.number, ids, self._records["chain"][ids], out)
        wrong = found != self._records["kv_sum"][ids]
        if bad or wrong.any():
            bad.update(ids[wrong].tolist())
            raise CorruptChunk(
                f"{self.folder}: the K/V of {len(bad)} chunks fails its checksum, first chunk "
                f"{min(bad)}; roll back to it and encode again from the tokens",
                chunk_ids=sorted(bad),
            )

    def bad_chunks(self, ids: NDArray[np.int64]) -> list[int]:
        """Those of the chunks whose K/V or record cannot be trusted, ascending."""
        bad: list[int] = []
        for first in range(0, len(ids), _SCAN):
            part = ids[first : first + _SCAN]
            try:
                self.gather(part, np.empty((len(part), self._layout.kv_bytes), np.uint8))
            except CorruptChunk as error:
                bad += error.chunk_ids
        return sorted(bad)

    def damaged(self, count: int) -> list[int]:
        """Chunks below `count` whose landmark, record, K/V or tokens do not agree."""
        if count == 0:
            return []
        wrong = self.landmark_sums(0, count) != self._records["landmark_sum"][:count]
        wrong |= self.record_sums(0, count) != self._records["record_sum"][:count]
        self._bound[:count] = False
        return sorted({*np.flatnonzero(wrong).tolist(), *self.bad_chunks(np.arange(count))})

    def close(self) -> None:
        """Close all files; arrays that were handed out stay valid."""
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()
        if self._landmarks is not None:
            self._landmarks.close()
            self._landmarks = None
