"""A generation's layout and geometry as a note in session.db, and the guard against others."""

from __future__ import annotations

from typing import Any

from .errors import CorruptMetadata, ModelMismatch
from .geometry import Geometry
from .truth import Truth
from .types import Layout

_LAYOUT_FIELDS = ("fingerprint", "chunk_size", "dtype", "kv_bytes", "landmark_bytes")


def layout_key(gen: int) -> str:
    """Name of the note that describes a generation."""
    return f"generation-{gen}"


def layout_note(layout: Layout, geometry: Geometry) -> dict[str, Any]:
    """The note's value; also part of every header of the generation."""
    return {**layout.to_map(), "stride": geometry.stride, "cap": geometry.cap}


def common_fields(
    store_id: bytes, sid: bytes, gen: int, layout: Layout, geometry: Geometry
) -> dict[str, Any]:
    """What every header of a generation says."""
    return {
        "store": store_id.hex(),
        "sid": sid.hex(),
        "gen": gen,
        **layout_note(layout, geometry),
    }


def read_layout(truth: Truth, gen: int) -> tuple[Layout, Geometry]:
    """What a generation of this session holds."""
    note = truth.note(layout_key(gen))
    if note is None:
        raise CorruptMetadata(f"{truth.where}: generation {gen} is not described; run check")
    try:
        layout = Layout(**{name: note[name] for name in _LAYOUT_FIELDS})
        geometry = Geometry(stride=int(note["stride"]), cap=int(note["cap"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptMetadata(f"{truth.where}: generation {gen}: {error}; run check") from error
    if geometry.stride < layout.kv_bytes or geometry.cap < 1:
        raise CorruptMetadata(f"{truth.where}: generation {gen}: impossible {geometry}")
    return layout, geometry


def require_layout(stored: Layout, wanted: Layout | None, num_tokens: int, name: str) -> None:
    """Raise ModelMismatch unless the caller's layout is the stored one (None accepts any)."""
    if wanted is None:
        return
    for field in _LAYOUT_FIELDS:
        expected, found = getattr(stored, field), getattr(wanted, field)
        if expected != found:
            raise ModelMismatch(
                f"session {name!r} was written with {field}={expected!r}, the model now has "
                f"{found!r}. Open it with the model that wrote it; its {num_tokens} tokens "
                "would have to be encoded again for another one.",
                field=field,
                expected=expected,
                found=found,
            )
