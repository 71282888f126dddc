"""A loaded checkpoint as the memory uses it: model, tokenizer, layout of what goes to disk."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from hsa_memory.model import HSAConfig, HSATransformer, Tokenizer, load_checkpoint
from hsa_memory.storage import Layout

from .errors import InvalidArgument, ModelNotFound
from .precision import GATHERED, PRECISIONS, Precision

_WEIGHTS = Path(__file__).parent / "weights"
_DTYPES = {"auto": None, "bfloat16": torch.bfloat16, "float32": torch.float32}
_MEASURED_TOKENS = 512
_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_Stamp = tuple[tuple[str, int, int, int, int], ...]
# By folder and number format: what the folder held, and the engine made of it.
_loaded: dict[tuple[Path, str], tuple[_Stamp, Engine]] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class Engine:
    """A model ready to read and write memories; shared by all sessions of a process."""

    model: HSATransformer
    tokenizer: Tokenizer
    fingerprint: str
    """Hex sha256 of weights, configuration and tokenizer."""

    @property
    def config(self) -> HSAConfig:
        """Dimensions of the model."""
        return self.model.config

    @property
    def dtype(self) -> torch.dtype:
        """Number format of weights and of everything computed."""
        return self.model.embedding.weight.dtype

    @property
    def disk_dtype(self) -> torch.dtype:
        """Number format of landmarks on disk, and of keys and values as they are read."""
        return GATHERED

    def layout(self, precision: Precision) -> Layout:
        """What the derived files of a session hold that keeps its keys and values so."""
        landmark, _ = self.config.memory_values_per_chunk
        return Layout(
            fingerprint=self.fingerprint,
            chunk_size=self.config.chunk_size,
            dtype=precision.dtype,
            kv_bytes=precision.kv_bytes(self.config),
            landmark_bytes=landmark * self.disk_dtype.itemsize,
        )

    def layouts(self, precision: Precision) -> tuple[Layout, ...]:
        """Every layout that can be read, first that of a new session."""
        others = (other for other in PRECISIONS.values() if other is not precision)
        return tuple(self.layout(each) for each in (precision, *others))

    @cached_property
    def num_parameters(self) -> int:
        """Parameters of the model."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @cached_property
    def tokens_per_second(self) -> float:
        """How fast this machine encodes history, from a measurement of a second or less; a long
        history goes faster."""
        count = -(-_MEASURED_TOKENS // self.config.chunk_size) * self.config.chunk_size
        tokens = torch.zeros((1, count), dtype=torch.long)
        with torch.inference_mode():
            # What the first run sets up is not counted.
            for _ in range(2):
                started = perf_counter()
                self.model.ingest(tokens, self.model.start(1))
        return count / (perf_counter() - started)

    @cached_property
    def characters(self) -> NDArray[np.int64]:
        """Characters that begin in each token of the vocabulary: bytes that continue none."""
        sizes = np.array([len(data) for data in self.tokenizer.vocabulary])
        begins = np.cumsum(np.append(0, ~_continuation(b"".join(self.tokenizer.vocabulary))))
        ends = np.cumsum(sizes)
        counts: NDArray[np.int64] = begins[ends] - begins[ends - sizes]
        return counts

    @cached_property
    def continues(self) -> NDArray[np.bool_]:
        """Whether each token of the vocabulary begins inside a character."""
        return _continuation(b"".join(data[:1] or b"\0" for data in self.tokenizer.vocabulary))

    def question(self, text: str) -> list[int]:
        """Tokens that ask `text` and hand the turn to the assistant."""
        tokenizer = self.tokenizer
        return [*tokenizer.encode_message("user", text), tokenizer.role_id("assistant")]


def _continuation(data: bytes) -> NDArray[np.bool_]:
    """Whether each byte continues a character of UTF-8."""
    found: NDArray[np.bool_] = np.frombuffer(data, np.uint8) & 0xC0 == 0x80
    return found


def load_engine(model: str | Path, device: str, dtype: str = "auto") -> Engine:
    """Return the engine of a bundled checkpoint or of a checkpoint folder, loading it once.

    Raises:
        ModelNotFound: neither a bundled name nor a folder.
        InvalidArgument: a device or number format that is not supported.
        CheckpointError: the folder is damaged.
    """
    if device not in ("auto", "cpu"):
        raise InvalidArgument(f"device must be 'auto' or 'cpu'; found {device!r}")
    if dtype not in _DTYPES:
        raise InvalidArgument(f"dtype must be one of {', '.join(_DTYPES)}; found {dtype!r}")
    folder = _folder(model).resolve()
    # Looked at before it is read: what is replaced meanwhile is read again at the next call.
    stamp = _stamp(folder)
    with _loading:
        known = _loaded.get((folder, dtype))
        if known is None or known[0] != stamp:
            engine = Engine(*load_checkpoint(folder, dtype=_DTYPES[dtype]))
            # Tables of the vocabulary: part of loading, not of the first search.
            _ = engine.characters, engine.continues
            known = stamp, engine
            _loaded[folder, dtype] = known
        return known[1]


def _stamp(folder: Path) -> _Stamp:
    """What tells one content of a checkpoint from another: one that is replaced in place, or a
    file of it, is another model."""
    found = []
    for name in _FILES:
        # A file that somebody is about to rename may be gone by now.
        with suppress(FileNotFoundError):
            about = (folder / name).stat()
            times = about.st_mtime_ns, about.st_ctime_ns
            found.append((name, about.st_size, *times, about.st_ino))
    return tuple(found)


def _folder(model: str | Path) -> Path:
    bundled = _WEIGHTS / str(model)
    for folder in (bundled, Path(model)):
        # Unlike `Path.is_file` it takes a name that is too long, or no name at all, for no file.
        if str(model) and os.path.isfile(folder / "model.safetensors"):
            return folder
    names = sorted(path.name for path in _WEIGHTS.iterdir()) if _WEIGHTS.is_dir() else []
    bundled_names = ", ".join(names) or "none here"
    raise ModelNotFound(
        f"no model {str(model)!r:.100}: expected a bundled name ({bundled_names}) or a folder "
        "with config.json, model.safetensors and tokenizer.json"
    )
