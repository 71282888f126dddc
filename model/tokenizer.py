"""Byte-level BPE over messages: lossless for any bytes, roles that text cannot forge.

A message is `role token, text tokens, <|end|>`. The special tokens have no merge that leads to
them and are not registered as added tokens, so no input text ever encodes to one.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from .errors import CheckpointError

SPECIAL_TOKENS = (
    "<|pad|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|tool|>",
    "<|document|>",
    "<|unused0|>",
)
ROLES = ("system", "user", "assistant", "tool", "document")

# Words carry their leading space, digits stand alone: numbers of any length copy digit by digit.
_PRE_TOKEN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_PIECE_CHARS = 1 << 16
_BATCH_PIECES = 64
# A space between two non-space characters always starts a new pre-token, so cutting there
# changes nothing about the result.
_SAFE_CUT = re.compile(r"(?<=\S) (?=\S)")
_RUNS = re.compile(r"(?P<undecodable>[\udc80-\udcff]+)|[^\udc80-\udcff]+")


def _byte_alphabet() -> dict[str, int]:
    """Map each printable stand-in character of byte-level BPE to its byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    table = {chr(b): b for b in printable}
    table.update({chr(256 + i): b for i, b in enumerate(others)})
    return table


class Tokenizer:
    """Text to token ids and back.

    Ids 0 to 7 are special (`SPECIAL_TOKENS`), the rest is byte-level BPE with single digits.

    Args:
        definition: the content of a `tokenizer.json` written by `Tokenizer.save`.

    Raises:
        CheckpointError: if `definition` is not such a tokenizer.
    """

    def __init__(self, definition: str) -> None:
        vocab, merges = _parse(definition)
        alphabet = _byte_alphabet()
        self._definition = definition
        self._bpe = _byte_level(models.BPE(vocab, merges))
        self._bytes: list[bytes] = [b""] * len(vocab)
        for token, index in vocab.items():
            if index >= len(SPECIAL_TOKENS):
                self._bytes[index] = bytes(alphabet[c] for c in token)
        self._byte_ids = {b[0]: i for i, b in enumerate(self._bytes) if len(b) == 1}
        self.vocab_size: int = len(vocab)
        self.pad_id: int = 0
        self.end_id: int = 1
        self.sha256: str = hashlib.sha256(definition.encode()).hexdigest()

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
        """Learn a vocabulary of `vocab_size` entries (special tokens and 256 bytes included)."""
        bpe = _byte_level(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=16,
            show_progress=False,
        )
        bpe.train_from_iterator(texts, trainer)
        definition = json.loads(bpe.to_str())
        definition["added_tokens"] = []
        return cls(json.dumps(definition, ensure_ascii=True, sort_keys=True))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read `tokenizer.json`; raises `CheckpointError` when it is missing or malformed."""
        try:
            return cls(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"cannot read the tokenizer {path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the definition that `load` reads."""
        Path(path).write_text(self._definition, encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        """Encode text, never yielding a special token.

        Lone surrogates that stand for undecodable bytes (`errors="surrogateescape"`) are encoded
        as those bytes; any other lone surrogate raises `UnicodeEncodeError`.
        """
        try:
            pieces = list(_pieces(text))
            if len(pieces) == 1:
                return list(self._bpe.encode(text, add_special_tokens=False).ids)
            ids: list[int] = []
            for first in range(0, len(pieces), _BATCH_PIECES):
                batch = pieces[first : first + _BATCH_PIECES]
                for encoding in self._bpe.encode_batch_fast(batch, add_special_tokens=False):
                    ids.extend(encoding.ids)
            return ids
        except (UnicodeEncodeError, TypeError):
            return self.encode_bytes(text.encode("utf-8", "surrogateescape"))

    def encode_bytes(self, data: bytes) -> list[int]:
        """Encode arbitrary bytes; `decode_bytes` gives back exactly these bytes."""
        ids: list[int] = []
        for run in _RUNS.finditer(data.decode("utf-8", "surrogateescape")):
            if run["undecodable"]:
                ids += [self._byte_ids[ord(c) & 0xFF] for c in run[0]]
            else:
                ids += self.encode(run[0])
        return ids

    def encode_message(self, role: str, text: str) -> list[int]:
        """Encode one message: role token, text, `<|end|>`."""
        return [self.role_id(role), *self.encode(text), self.end_id]

    def role_id(self, role: str) -> int:
        """Return the token of a role; raises `ValueError` naming the known roles."""
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r}: expected one of {', '.join(ROLES)}")
        return SPECIAL_TOKENS.index(f"<|{role}|>")

    @property
    def vocabulary(self) -> Sequence[bytes]:
        """Bytes of each token; none for special tokens."""
        return self._bytes

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of ordinary tokens; special tokens contribute nothing."""
        return b"".join(self._bytes[i] for i in ids)

    def decode(self, ids: Sequence[int], *, errors: str = "replace") -> str:
        """Return the text of ordinary tokens; `errors` as in `bytes.decode`."""
        return self.decode_bytes(ids).decode("utf-8", errors)

    def char_spans(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Return for each token the half-open character range it touches in `decode(ids)`."""
        data = [self._bytes[i] for i in ids]
        starts, position = [], 0
        for piece in data:
            starts.append(position)
            position += len(piece)
        # Continuation bytes (0b10xxxxxx) belong to the character that began before them.
        chars_before = [0]
        for byte in b"".join(data):
            chars_before.append(chars_before[-1] + (byte & 0xC0 != 0x80))
        spans = []
        for start, piece in zip(starts, data, strict=True):
            begin = chars_before[start]
            if piece and piece[0] & 0xC0 == 0x80 and begin:
                begin -= 1
            spans.append((begin, chars_before[start + len(piece)]))
        return spans


def _byte_level(model: models.BPE) -> tokenizers.Tokenizer:
    """Return a tokenizer of which a file decides the vocabulary and the merges, nothing else."""
    bpe = tokenizers.Tokenizer(model)
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PRE_TOKEN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    return bpe


def _parse(definition: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return vocabulary and merges of a `tokenizer.json`, checked: the library trusts them."""
    try:
        data = json.loads(definition)
        vocab = {str(token): operator.index(i) for token, i in data["model"]["vocab"].items()}
        merges = [(str(left), str(right)) for left, right in data["model"]["merges"]]
        foreign = [name for name in ("added_tokens", "normalizer") if data[name]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"tokenizer.json is not a byte-level BPE of this package: {error!r}"
        ) from error
    if foreign:
        raise CheckpointError(f"tokenizer.json must not have {' and '.join(foreign)}")
    if [vocab.get(t) for t in SPECIAL_TOKENS] != list(range(len(SPECIAL_TOKENS))):
        raise CheckpointError(
            "tokenizer.json has other special tokens than this version expects: "
            f"ids 0 to {len(SPECIAL_TOKENS) - 1} must be {', '.join(SPECIAL_TOKENS)}"
        )
    alphabet = _byte_alphabet()
    ordinary = vocab.keys() - SPECIAL_TOKENS
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise CheckpointError(f"tokenizer.json: ids must be 0 to {len(vocab) - 1}, each once")
    if not alphabet.keys() <= ordinary or not all(alphabet.keys() >= set(t) for t in ordinary):
        raise CheckpointError("tokenizer.json: its tokens must be bytes, all 256 among them")
    unknown = [pair for pair in merges if not {*pair, "".join(pair)} <= ordinary]
    if unknown:
        raise CheckpointError(f"tokenizer.json: a merge needs tokens it lacks: {unknown[0]}")
    return vocab, merges


def _pieces(text: str) -> Iterator[str]:
    """Cut long text where a pre-token begins, so that memory stays bounded."""
    start = 0
    while len(text) - start > _PIECE_CHARS:
        cut = _SAFE_CUT.search(text, start + _PIECE_CHARS, start + 2 * _PIECE_CHARS)
        stop = cut.start() if cut else start + 2 * _PIECE_CHARS
        yield text[start:stop]
        start = stop
    yield text[start:]
