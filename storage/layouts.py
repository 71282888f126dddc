"""A generation's layout and geometry as a note in session.db, and the guard against others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .checksums import chain_seed
from .cipher import Cipher
from .errors import CorruptMetadata, KeyMissing, ModelMismatch, NotEncrypted
from .geometry import Geometry, geometry_of
from .rows import State
from .truth import Truth
from .types import Layout

_MAX_STRIDE = 1 << 28
_MAX_CAP = 1 << 20
_LAYOUT_FIELDS = ("fingerprint", "chunk_size", "lookahead", "dtype", "kv_bytes", "landmark_bytes")
Wanted = Layout | Sequence[Layout] | None
"""Layouts that a caller accepts; None accepts any."""


def layout_key(gen: int) -> str:
    """Name of the note that describes a generation."""
    return f"generation-{gen}"


class Description(NamedTuple):
    """What a generation holds, and how."""

    layout: Layout
    geometry: Geometry
    seed: int | None
    """Chain hash before chunk 0; None: that of the session's own id."""
    cipher: str
    """Name of the cipher its files are stored with."""
    overhead: int
    """Bytes that it adds to a row."""

    @property
    def landmark_width(self) -> int:
        """Bytes of a stored landmark row."""
        return self.layout.landmark_bytes + self.overhead

    def fields(self) -> dict[str, Any]:
        """What of it every header of the generation says."""
        fields = {
            **self.layout.to_map(),
            "stride": self.geometry.stride,
            "cap": self.geometry.cap,
        }
        return {**fields, "cipher": self.cipher} if self.cipher else fields

    def to_note(self) -> dict[str, Any]:
        """The value of the generation's note."""
        fields = self.fields()
        return fields if self.seed is None else {**fields, "seed": f"{self.seed:016x}"}

    def seed_in(self, store_id: bytes, sid: bytes) -> int:
        """Chain hash before chunk 0 of a session."""
        return chain_seed(store_id, sid) if self.seed is None else self.seed


def describe(layout: Layout, cipher: Cipher, seed: int | None = None) -> Description:
    """The description that this version gives to a new generation."""
    geometry = geometry_of(layout, cipher.overhead)
    return Description(layout, geometry, seed, cipher.name, cipher.overhead)


def common_fields(store_id: bytes, sid: bytes, gen: int, described: Description) -> dict[str, Any]:
    """What every header of a generation says."""
    return {"store": store_id.hex(), "sid": sid.hex(), "gen": gen, **described.fields()}


def read_layout(truth: Truth, gen: int) -> Description:
    """What a generation of this session holds."""
    note = truth.note(layout_key(gen))
    if note is None:
        raise CorruptMetadata(f"{truth.where}: generation {gen} is not described; run check")
    try:
        known = {"lookahead": 0, **note}
        layout = Layout(**{name: known[name] for name in _LAYOUT_FIELDS})
        geometry = Geometry(stride=int(note["stride"]), cap=int(note["cap"]))
        seed = int(note["seed"], 16) if "seed" in note else None
        cipher = str(note.get("cipher", ""))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptMetadata(f"{truth.where}: generation {gen}: {error}; run check") from error
    largest = geometry.stride <= _MAX_STRIDE and geometry.cap <= _MAX_CAP
    if not largest or geometry.stride < layout.kv_bytes or geometry.cap < 1:
        raise CorruptMetadata(f"{truth.where}: generation {gen}: impossible {geometry}")
    return Description(layout, geometry, seed, cipher, truth.cipher.overhead)


def layouts_of(wanted: Wanted) -> tuple[Layout, ...]:
    """The layouts that a caller accepts, first that of a new session; none if it takes any."""
    if wanted is None:
        return ()
    layouts = (wanted,) if isinstance(wanted, Layout) else tuple(wanted)
    if not layouts:
        raise ValueError("layout is an empty sequence; pass None to take any layout")
    return layouts


def require_cipher(stored: str, cipher: Cipher, name: str) -> None:
    """Raise KeyMissing or NotEncrypted unless the cipher is the one a session is stored with."""
    if stored and not cipher.name:
        raise KeyMissing(f"session {name!r} is encrypted ({stored}); open the store with its key")
    if stored != cipher.name:
        raise NotEncrypted(
            f"session {name!r} is not encrypted as the key asks for: it is stored "
            f"{'with ' + stored if stored else 'as it is'}, expected {cipher.name}"
        )


def require_layout(stored: Layout, wanted: Wanted, num_tokens: int, name: str) -> None:
    """Raise ModelMismatch unless the stored layout is one that the caller accepts."""
    left = layouts_of(wanted)
    for field in _LAYOUT_FIELDS if left else ():
        expected, found = getattr(stored, field), getattr(left[0], field)
        left = tuple(layout for layout in left if getattr(layout, field) == expected)
        if not left:
            raise ModelMismatch(
                f"session {name!r} was written with {field}={expected!r}, the model now has "
                f"{found!r}. Open it with the model that wrote it; its {num_tokens} tokens "
                "would have to be encoded again for another one.",
                field=field,
                expected=expected,
                found=found,
                num_tokens=num_tokens,
            )


def require_followed(truth: Truth, old: State, wanted: Wanted, name: str) -> None:
    """Raise ModelMismatch, and go back to the state `old`, if a reader's session has gone over to a
    generation of another layout."""
    if truth.state.gen == old.gen:
        return
    try:
        layout = read_layout(truth, truth.state.gen).layout
        require_layout(layout, wanted, truth.state.n_tok, name)
    except ModelMismatch:
        # So that the next try finds it again.
        truth.state = old
        raise
