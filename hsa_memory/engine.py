"""A loaded checkpoint as the memory uses it: model, tokenizer, layout of what goes to disk."""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from hsa_memory.kernels.backends import resolve
from hsa_memory.model import HSAConfig, HSATransformer, Tokenizer, load_checkpoint
from hsa_memory.model.checkpoint import fast_dtype
from hsa_memory.storage import Layout

from .errors import InvalidArgument, ModelNotFound
from .precision import GATHERED, PRECISIONS, Precision
from .tiers import DeviceTier, HostTier, PinnedBuffer, Tiers

_WEIGHTS = Path(__file__).parent / "weights"
_DTYPES = {"auto": None, "bfloat16": torch.bfloat16, "float32": torch.float32}
_MEASURED_TOKENS = 512
_GPU = re.compile(r"cuda(?::([0-9]{1,4}))?")
_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_Stamp = tuple[tuple[str, int, int, int, int], ...]
# By folder, device and number format: what the folder held, and the engine made of it.
_loaded: dict[tuple[Path, torch.device, str], tuple[_Stamp, Engine]] = {}
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

    @cached_property
    def device(self) -> torch.device:
        """Where weights, landmarks and everything computed are."""
        return self.model.embedding.weight.device

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
            lookahead=self.config.encoder_lookahead,
            dtype=precision.dtype,
            kv_bytes=precision.kv_bytes(self.config),
            landmark_bytes=landmark * self.disk_dtype.itemsize,
        )

    def layouts(self, precision: Precision) -> tuple[Layout, ...]:
        """Every layout that can be read, first that of a new session."""
        others = (other for other in PRECISIONS.values() if other is not precision)
        return tuple(self.layout(each) for each in (precision, *others))

    def tiers(self, row_bytes: int, host_bytes: int, device_bytes: int) -> Tiers:
        """Where a session looks for K/V before the disk.

        Args:
            row_bytes: bytes of one chunk.
            host_bytes: most bytes to keep in the host's memory.
            device_bytes: most bytes to keep on the GPU; nothing where the model is on the CPU.
        """
        host = HostTier(host_bytes, row_bytes)
        if self._buffer is None:
            return Tiers(host)
        return Tiers(host, DeviceTier(device_bytes, row_bytes, self._buffer, self.device))

    @cached_property
    def _buffer(self) -> PinnedBuffer | None:
        return None if self.device.type == "cpu" else PinnedBuffer(self.device)

    @cached_property
    def num_parameters(self) -> int:
        """Parameters of the model."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @cached_property
    def tokens_per_second(self) -> float:
        """How fast this machine encodes history, from a measurement of a second or less; a long
        history goes faster."""
        count = -(-_MEASURED_TOKENS // self.config.chunk_size) * self.config.chunk_size
        tokens = torch.zeros((1, count), dtype=torch.long, device=self.device)
        with torch.inference_mode():
            # What the first run sets up is not counted.
            for _ in range(2):
                started = perf_counter()
                state = self.model.ingest(tokens, self.model.start(1))
                # A GPU is done only when a value of the result is here.
                float(state.memory.landmarks.sum())
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


def load_engine(
    model: str | Path, device: str, dtype: str = "auto", *, plain: bool = False
) -> Engine:
    """Return the engine of a bundled checkpoint or of a checkpoint folder, loading it once.

    Args:
        model: name or folder.
        device: "cpu", "cuda" (the current GPU), "cuda:N", or "auto" for the CPU.
        dtype: "bfloat16", "float32", or "auto" for what the device multiplies fastest.
        plain: whether a model without HSA layers will do, to compare with.

    Raises:
        ModelNotFound: neither a bundled name nor a folder.
        InvalidArgument: a device or number format that is not supported, or a model without memory.
        CheckpointError: the folder is damaged.
    """
    if dtype not in _DTYPES:
        raise InvalidArgument(f"dtype must be one of {', '.join(_DTYPES)}; found {dtype!r}")
    folder, where = _folder(model).resolve(), _device(device, _DTYPES[dtype])
    # Looked at before it is read: what is replaced meanwhile is read again at the next call.
    stamp = _stamp(folder)
    with _loading:
        known = _loaded.get((folder, where, dtype))
        if known is None or known[0] != stamp:
            engine = Engine(*load_checkpoint(folder, dtype=_DTYPES[dtype], device=where))
            # Tables of the vocabulary: part of loading, not of the first search.
            _ = engine.characters, engine.continues
            known = stamp, engine
            _loaded[folder, where, dtype] = known
    if not known[1].config.num_groups and not plain:
        raise InvalidArgument(
            f"expected a model with HSA layers; found num_groups 0 in {folder}: a plain "
            "transformer, which remembers nothing beyond its window"
        )
    return known[1]


def _device(name: object, dtype: torch.dtype | None) -> torch.device:
    """Return the device of that name, a GPU with its number, or say why there is none."""
    if name in ("auto", "cpu"):
        return torch.device("cpu")
    number = _GPU.fullmatch(name) if isinstance(name, str) else None
    if number is None:
        raise InvalidArgument(
            f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; found {name!r:.100}"
        )
    if not torch.backends.cuda.is_built():
        raise InvalidArgument(
            f"device {name!r} needs a build of PyTorch for GPUs; this one, {torch.__version__}, "
            "has none: install another, or take device='cpu'"
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise InvalidArgument(
            f"device {name!r}: no GPU is visible to PyTorch {torch.__version__}; look at "
            "`nvidia-smi` and CUDA_VISIBLE_DEVICES, or take device='cpu'"
        )
    index = int(number[1]) if number[1] else torch.cuda.current_device()
    if index >= count:
        raise InvalidArgument(
            f"device {name!r}: {count} GPUs are visible, numbered from 0 to {count - 1}"
        )
    device = torch.device("cuda", index)
    try:
        resolve(None, torch.empty(0, dtype=dtype or fast_dtype(device), device=device))
    except (
        RuntimeError
    ) as error:  # BackendUnavailable, or CUDA's own: a GPU that is taken or broken
        raise InvalidArgument(f"device {name!r}: {error}") from error
    return device


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
