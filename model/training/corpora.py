"""Corpora: the .jsonl.xz text files as message streams, tokenised once into a cache."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from .sample import TokenizerLike

SOURCES = ("books", "wiki", "spoken", "chat", "qa", "stories", "valid")
CHAT_SOURCES = ("chat", "spoken")
# A book is cut into this many characters from a place inside it, so that the cache
# holds many books rather than a few whole ones.
BOOK_CHARACTERS = 60_000
MESSAGE_CHARACTERS = 4_000

Message = tuple[str, str]


def read_records(path: Path, exclude: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Records of one .jsonl.xz file in order, without those of an excluded title."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            record: dict[str, Any] = json.loads(line)
            if record.get("title") not in exclude:
                yield record


def _turn_messages(turns: Sequence[dict[str, str]]) -> list[Message]:
    seen: dict[str, str] = {"user": "user", "assistant": "assistant"}
    messages = []
    for turn in turns:
        name = turn["role"]
        if name not in seen:
            seen[name] = ("user", "assistant")[len(seen) % 2]
        if turn["text"].strip():
            messages.append((seen[name], turn["text"].strip()))
    return messages


def _document_messages(text: str) -> list[Message]:
    if len(text) > BOOK_CHARACTERS:
        start = (len(text) - BOOK_CHARACTERS) // 3
        text = text[start : start + BOOK_CHARACTERS]
    messages, current = [], ""
    for paragraph in text.split("\n\n"):
        if current and len(current) + len(paragraph) > MESSAGE_CHARACTERS:
            messages.append(("document", current))
            current = ""
        current = f"{current}\n\n{paragraph}" if current else paragraph
    if current.strip():
        messages.append(("document", current))
    return messages


def record_messages(record: dict[str, Any]) -> list[Message]:
    """Messages (role, text) of one record: documents, or turns as user and assistant."""
    if "turns" in record:
        return _turn_messages(record["turns"])
    return _document_messages(record.get("context") or record["text"])


def texts_for_tokenizer(
    data_dir: Path, max_bytes: int, rng: np.random.Generator, exclude: Sequence[str] = ()
) -> Iterator[str]:
    """A sample of text for BPE training, about max_bytes in all, equally from every source."""
    paths = [path for source in SOURCES if (path := data_dir / f"{source}.jsonl.xz").exists()]
    for path in paths:
        budget = max_bytes // len(paths)
        for record in read_records(path, exclude):
            if budget <= 0:
                break
            if rng.random() < 0.5:
                continue
            for _, text in record_messages(record)[:6]:
                budget -= len(text.encode())
                yield text


@dataclass
class Corpus:
    """One tokenised source, memory-mapped."""

    name: str
    tokens: NDArray[np.uint16]
    """[N] stream of messages: role token, text, end token."""
    starts: NDArray[np.int64]
    """[M] offsets of the messages' role tokens."""

    def random_window(self, rng: np.random.Generator, n: int) -> NDArray[np.int32]:
        """[n] consecutive tokens from anywhere; a source shorter than n is repeated."""
        start = int(rng.integers(max(1, len(self.tokens) - n)))
        return self._window(start, n)

    def random_messages(self, rng: np.random.Generator, n: int) -> NDArray[np.int32]:
        """[n] consecutive tokens that begin with a message's role token."""
        return self._window(int(self.starts[rng.integers(len(self.starts))]), n)

    def _window(self, start: int, n: int) -> NDArray[np.int32]:
        window = np.asarray(self.tokens[start : start + n], dtype=np.int32)
        if len(window) < n:
            rest = np.resize(np.asarray(self.tokens[:n], dtype=np.int32), n - len(window))
            window = np.concatenate([window, rest])
        return window


def _tokenise_source(
    path: Path,
    tokenizer: TokenizerLike,
    max_tokens: int,
    exclude: Sequence[str],
    progress: Progress,
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    pieces: list[NDArray[np.uint16]] = []
    starts, total = [], 0
    task = progress.add_task(path.name.split(".")[0], total=max_tokens)
    for record in read_records(path, exclude):
        for role, text in record_messages(record):
            ids = [tokenizer.role_id(role), *tokenizer.encode(text), tokenizer.end_id]
            pieces.append(np.array(ids, dtype=np.uint16))
            starts.append(total)
            total += len(ids)
        progress.update(task, completed=total)
        if total >= max_tokens:
            break
    progress.update(task, completed=max_tokens)
    return np.concatenate(pieces), np.array(starts, dtype=np.int64)


def build_token_cache(
    data_dir: Path,
    cache_dir: Path,
    tokenizer: TokenizerLike,
    *,
    max_tokens: int = 6_000_000,
    sources: Sequence[str] = SOURCES,
    exclude: Sequence[str] = (),
) -> dict[str, Corpus]:
    """Tokenise every source found in data_dir once and open the results.

    Args:
        data_dir: folder with the .jsonl.xz files.
        cache_dir: where the .npy files go; a file already there is not built again.
        tokenizer: its hash is part of the file names, so another tokenizer rebuilds.
        max_tokens: tokens kept of a source (default 6 million).
        sources: names of the sources to read; missing files are left out.
        exclude: titles of records to leave out; part of the file names as well.

    Returns:
        Source name -> Corpus, memory-mapped.

    Raises:
        FileNotFoundError: data_dir holds none of the sources.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    left_out = hashlib.sha256("\n".join(exclude).encode()).hexdigest()[:8]
    stem = f"{tokenizer.sha256[:16]}-{max_tokens}-{left_out}"
    corpora = {}
    with Progress(transient=True) as progress:
        for source in sources:
            path = data_dir / f"{source}.jsonl.xz"
            if not path.exists():
                continue
            tokens_path = cache_dir / f"{source}-{stem}.tokens.npy"
            starts_path = cache_dir / f"{source}-{stem}.starts.npy"
            if not tokens_path.exists():
                tokens, starts = _tokenise_source(path, tokenizer, max_tokens, exclude, progress)
                _save(starts_path, starts)
                _save(tokens_path, tokens)
            corpora[source] = Corpus(
                source, np.load(tokens_path, mmap_mode="r"), np.load(starts_path)
            )
    if not corpora:
        raise FileNotFoundError(f"no corpus (.jsonl.xz) in {data_dir}")
    return corpora


def _save(path: Path, array: NDArray[Any]) -> None:
    unfinished = path.with_suffix(".part.npy")
    np.save(unfinished, array)
    unfinished.replace(path)
