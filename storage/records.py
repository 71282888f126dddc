"""Block-table records in memory: one per chunk, each bound to the tokens before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .checksums import bound_sums, chain_next, rows_of
from .geometry import RECORD, RECORD_BYTES, RECORD_SUMMED_BYTES

Records = NDArray[np.void]
TokensOf = Callable[[Sequence[int]], dict[int, tuple[int, NDArray[np.uint32]]]]


class RecordTable:
    """Records of chunks 0, 1, ... as they were read or made; the caller knows how many.

    Args:
        generation: number that opens every checksum's input.
        chunk_size: tokens per chunk.
        chain_seed: chain hash before chunk 0.
        tokens_of: verified tokens of turns, from the truth.
    """

    def __init__(
        self, generation: int, chunk_size: int, chain_seed: int, tokens_of: TokensOf
    ) -> None:
        self._generation = generation
        self._chunk_size = chunk_size
        self._chain_seed = chain_seed
        self._tokens_of = tokens_of
        self.rows: Records = np.zeros(0, RECORD)
        # Which records need no further look.
        self._good = np.zeros(0, bool)

    def chain_before(self, chunk: int) -> int:
        """Chain hash of all tokens before a chunk."""
        return int(self.rows["chain"][chunk - 1]) if chunk else self._chain_seed

    def keep(self, first: int, records: Records, *, good: bool = False) -> None:
        """Take in records of chunks first, first+1, ...; good if they need no further look."""
        stop = first + len(records)
        if stop > len(self.rows):
            room = max(stop, len(self.rows) * 3 // 2, 64)
            grown = np.zeros(room, RECORD)
            grown[:first] = self.rows[:first]
            self.rows = grown
            self._good = np.resize(self._good, room)
            self._good[first:] = False
        self.rows[first:stop] = records
        self._good[first:stop] = good

    def forget(self, count: int) -> None:
        """Records of chunks from `count` on are to be looked at anew."""
        self._good[count:] = False

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
        # Not np.unique: its first call imports numpy.ma, which costs more than the restore.
        ids = np.array(sorted(set(ids[~self._good[ids]].tolist())), np.int64)
        if not len(ids):
            return []
        whole = self._sums_of(ids, self.rows[ids]) == self.rows["record_sum"][ids]
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
        spans = {i: range(int(last[i - 1]) if i else 0, int(last[i]) + 1) for i in ids}
        wanted = sorted({seq for span in spans.values() for seq in span})
        tokens = self._tokens_of(wanted)
        bad = []
        for i, span in spans.items():
            start = tokens[span[0]][0]
            joined = np.concatenate([tokens[seq][1] for seq in span])
            own = joined[i * size - start : (i + 1) * size - start].astype("<u4", copy=False)
            if chain_next(self.chain_before(i), own.tobytes()) != self.rows["chain"][i]:
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
        """Records of new chunks; arguments as in `Generation.write`."""
        ids = np.arange(first, first + len(kv))
        records = np.zeros(len(kv), RECORD)
        chains = np.empty(len(kv), np.uint64)
        chain = self.chain_before(first)
        raw = tokens.astype("<u4", copy=False).view(np.uint8).reshape(len(kv), -1)
        for i, own in enumerate(rows_of(np.ascontiguousarray(raw))):
            chain = chain_next(chain, own)
            chains[i] = chain
        records["chain"] = chains
        records["kv_sum"] = bound_sums(self._generation, ids, chains, kv)
        records["landmark_sum"] = bound_sums(self._generation, ids, chains, landmarks)
        records["tok0"] = ids * self._chunk_size
        records["last_seq"] = last_seqs
        records["n_tok"] = self._chunk_size
        records["record_sum"] = self._sums_of(ids, records)
        return records
