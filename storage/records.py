"""Block-table records in memory: one per chunk, each bound to the tokens before it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .checksums import bound_sums, xxh3_bytes
from .cipher import Cipher
from .errors import CorruptChunk
from .geometry import RECORD, RECORD_BYTES, RECORD_SUMMED_BYTES
from .room import untouched

_NONCE_BYTES = RECORD["nonce"].itemsize

Records = NDArray[np.void]
Belong = Callable[[int, Records], NDArray[np.bool_]]
TokensOf = Callable[[Sequence[int]], dict[int, tuple[int, NDArray[np.uint32]]]]


@dataclass(frozen=True)
class Seal:
    """Digests of a full, published segment."""

    table_sum: bytes
    landmarks_sum: bytes


class RecordTable:
    """Records of chunks 0, 1, ... as they were read or made; the caller knows how many.

    Args:
        generation: number that opens every checksum's input.
        chunk_size: tokens per chunk.
        chain_seed: chain hash before chunk 0.
        tokens_of: verified tokens of turns, from the truth.
        cipher_of: what makes the chain hash of a chunk.
        lookahead: tokens after a chunk that it depends on.
    """

    def __init__(
        self,
        generation: int,
        chunk_size: int,
        chain_seed: int,
        tokens_of: TokensOf,
        cipher_of: Callable[[int], Cipher],
        lookahead: int = 0,
    ) -> None:
        self._cipher_of = cipher_of
        self._lookahead = lookahead
        self._generation = generation
        self._chunk_size = chunk_size
        self._chain_seed = chain_seed
        self._tokens_of = tokens_of
        # Chain hash before chunks whose predecessors were encoded anew after them.
        self.seams: dict[int, int] = {}
        self.rows: Records = np.zeros(0, RECORD)
        # Which records need no further look.
        self._good = np.zeros(0, bool)
        # Segments whose records are read when they are needed: the digest of all of them, and how
        # to read them. All have as many chunks.
        self._waiting: dict[int, tuple[bytes, Callable[[Records], None], Belong]] = {}
        self._cap = 1
        # Chunks of such segments whose record turned out to be damaged, or not to belong there.
        self._damaged: set[int] = set()

    def chain_before(self, chunk: int) -> int:
        """Chain hash of all tokens before a chunk.

        Raises:
            CorruptChunk: the record that says it is damaged.
        """
        if chunk in self.seams:
            return self.seams[chunk]
        if not chunk:
            return self._chain_seed
        self.need(chunk - 1, chunk)
        if chunk - 1 in self._damaged:
            raise CorruptChunk(f"the record of chunk {chunk - 1} is damaged", chunk_ids=[chunk - 1])
        return int(self.rows["chain"][chunk - 1])

    def last_sound(self, count: int) -> int:
        """`count`, or how many chunks there are before damaged records that end there: what is
        written next goes on from a sound one."""
        while count and count not in self.seams:
            self.need(count - 1, count)
            if count - 1 not in self._damaged:
                break
            count -= 1
        return count

    def expect(
        self, n: int, cap: int, table_sum: bytes, read: Callable[[Records], None], belong: Belong
    ) -> None:
        """Take in the records of segment n by their digest.

        Args:
            cap: chunks in every segment.
            table_sum: digest of the segment's records.
            read: fills an array with them, good or not; called when they are needed.
            belong: which records, from a chunk on, were made with its landmark; asked where
                the digest differs, for an old file agrees with itself.
        """
        self._cap = cap
        self._waiting[n] = table_sum, read, belong

    def need(self, first: int, stop: int) -> None:
        """Have the records of chunks first..stop-1 in `rows`."""
        if self._waiting:
            self._need(set(range(first // self._cap, -(-stop // self._cap))))

    def _need(self, numbers: set[int]) -> None:
        for n in sorted(numbers & self._waiting.keys()):
            first, stop = n * self._cap, (n + 1) * self._cap
            table_sum, read, belong = self._waiting[n]
            self.reserve(stop)
            records = self.rows[first:stop]
            read(records)
            good = xxh3_bytes(memoryview(records.view(np.uint8))) == table_sum
            self._good[first:stop] = good
            if not good:
                whole = self.sums(first, stop) == records["record_sum"]
                self._good[first:stop] = whole & belong(first, records)
                self._damaged.update((first + np.flatnonzero(~self._good[first:stop])).tolist())
            # Last: who is interrupted before this reads them again.
            del self._waiting[n]

    def reserve(self, count: int) -> None:
        """Make room for the records of `count` chunks at once."""
        known = len(self.rows)
        if count > known:
            rows, good = untouched(count * RECORD_BYTES).view(RECORD), np.zeros(count, bool)
            _whole(rows)[:known], good[:known] = _whole(self.rows), self._good
            self.rows, self._good = rows, good

    def chain_of(self, chunk: int, tokens: NDArray[np.uint32], before: int | None = None) -> int:
        """Chain hash that a chunk which depends on these tokens [chunk_size + lookahead] has after
        the hash `before`, by default after the chunk before it, with the nonce of its record."""
        before = self.chain_before(chunk) if before is None else before
        own = tokens.astype("<u4", copy=False).tobytes()
        nonce = self.rows["nonce"][chunk].tobytes()
        # Chunks of format 1.0 have none.
        return self._chain(chunk, before, own + nonce if any(nonce) else own)

    def _chain(self, chunk: int, before: int, own: bytes) -> int:
        return self._cipher_of(chunk).chain(before.to_bytes(8, "little") + own)

    def keep(self, first: int, records: Records, *, good: bool = False) -> None:
        """Take in records of chunks first, first+1, ...; good if they need no further look."""
        stop = first + len(records)
        if stop > len(self.rows):
            self.reserve(max(stop, len(self.rows) * 3 // 2, 64))
        _whole(self.rows)[first:stop] = _whole(records)
        self._good[first:stop] = good
        if self._damaged:
            self._damaged.difference_update(range(first, stop))

    def forget(self, count: int) -> None:
        """Records of chunks from `count` on are to be looked at anew."""
        self._good[count:] = False

    def unsure(self, first: int, stop: int) -> NDArray[np.int64]:
        """Those of chunks first..stop-1 whose records nobody has vouched for yet."""
        return first + np.flatnonzero(~self._good[first:stop])

    def drop(self, count: int) -> None:
        """Records of chunks from `count` on are to be written anew."""
        self.forget(count)
        self._waiting = {n: known for n, known in self._waiting.items() if n * self._cap < count}

    def sums(self, first: int, stop: int) -> NDArray[np.uint64]:
        """Checksums that the records in memory have now."""
        return self._sums_of(np.arange(first, stop), self.rows[first:stop])

    def _sums_of(self, ids: NDArray[np.int64], records: Records) -> NDArray[np.uint64]:
        raw = np.ascontiguousarray(records).view(np.uint8).reshape(-1, RECORD_BYTES)
        summed = np.ascontiguousarray(raw[:, :RECORD_SUMMED_BYTES])
        return bound_sums(self._generation, ids, records["chain"], summed)

    def unusable(self, ids: NDArray[np.int64], durable: int) -> list[int]:
        """Those of the chunks whose record is damaged or was made for other tokens.

        Args:
            ids: any chunks.
            durable: chunks below it were on the disk before anything was said about them, so
                that only their records can be damaged; the others are bound to the tokens.
        """
        if self._waiting:
            self._need({chunk // self._cap for chunk in ids.tolist()})
        if False not in self._good[ids].tolist():
            return []
        # Not np.unique: its first call imports numpy.ma, which costs more than the restore.
        ids = np.array(sorted(set(ids[~self._good[ids]].tolist())), np.int64)
        whole = self._sums_of(ids, self.rows[ids]) == self.rows["record_sum"][ids]
        whole &= np.array([chunk not in self._damaged for chunk in ids.tolist()], bool)
        bad = ids[~whole].tolist()
        bad += self._foreign(ids[whole & (ids >= durable)].tolist())
        self._good[ids] = True
        self._good[bad] = False
        return sorted(bad)

    def _foreign(self, ids: list[int]) -> list[int]:
        """Chunks whose chain hash does not follow from the truth's tokens."""
        size = self._chunk_size
        if not ids:
            return []
        last = self.rows["last_seq"]
        # The chunk before has looked into this one, but the one before that has not.
        back = 2 if self._lookahead else 1
        spans = {i: range(int(last[i - back]) if i >= back else 0, int(last[i]) + 1) for i in ids}
        wanted = sorted({seq for span in spans.values() for seq in span})
        tokens = self._tokens_of(wanted)
        bad = []
        for i, span in spans.items():
            start = tokens[span[0]][0]
            joined = np.concatenate([tokens[seq][1] for seq in span])
            own = joined[i * size - start : (i + 1) * size + self._lookahead - start]
            if self.chain_of(i, own) != self.rows["chain"][i]:
                bad.append(i)
        return bad

    def make(
        self,
        first: int,
        landmarks: NDArray[np.uint8],
        kv: NDArray[np.uint8],
        tokens: NDArray[np.uint32],
        last_seqs: NDArray[np.int64],
    ) -> Records:
        """Records of new chunks, to be followed by none that exist; landmarks and kv as stored,
        other arguments as in `Generation.write`."""
        ids = np.arange(first, first + len(kv))
        records = np.zeros(len(kv), RECORD)
        chains = np.empty(len(kv), np.uint64)
        chain = self.chain_before(first)
        # Wiped with the record: a chain hash alone then tells nothing about a guess at the tokens.
        nonces = np.frombuffer(os.urandom(_NONCE_BYTES * len(kv)), np.uint8).reshape(len(kv), -1)
        raw = np.ascontiguousarray(tokens, "<u4").view(np.uint8).reshape(len(kv), -1)
        for i, own in enumerate(np.concatenate([raw, nonces], 1)):
            chain = self._chain(first + i, chain, own.tobytes())
            chains[i] = chain
        records["nonce"] = nonces.view(records["nonce"].dtype)[:, 0]
        records["chain"] = chains
        records["kv_sum"] = bound_sums(self._generation, ids, chains, kv)
        records["landmark_sum"] = bound_sums(self._generation, ids, chains, landmarks)
        records["tok0"] = ids * self._chunk_size
        records["last_seq"] = last_seqs
        records["n_tok"] = self._chunk_size
        records["record_sum"] = self._sums_of(ids, records)
        return records


def _whole(records: Records) -> NDArray[np.void]:
    """Records as what has no fields: numpy copies those one by one."""
    return records.view(f"V{RECORD_BYTES}")
