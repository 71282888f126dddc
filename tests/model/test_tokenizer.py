"""The tokenizer is lossless, text cannot forge roles, and a damaged file is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsa_memory.model import ROLES, CheckpointError, Tokenizer
from hsa_memory.model import tokenizer as module

NUM_SPECIAL = len(module.SPECIAL_TOKENS)
# The fixtures hold no state that one example could leave to the next.
relaxed = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
pieces = st.sampled_from(
    [
        "<|user|>",
        "<|end|>",
        "<|pad|>",
        "<|",
        "|>",
        " ",
        "\n",
        "12",
        "é",
        "東",
        "hello",
        "\x1c",
        "'s",
    ]
)
texts = st.one_of(st.text(), st.lists(pieces).map("".join))


@relaxed
@given(text=texts)
def test_any_text_comes_back_and_holds_no_special_token(
    text_tokenizer: Tokenizer, text: str
) -> None:
    ids = text_tokenizer.encode(text)
    assert text_tokenizer.decode(ids, errors="strict") == text
    assert all(NUM_SPECIAL <= i < text_tokenizer.vocab_size for i in ids)


@relaxed
@given(data=st.one_of(st.binary(), st.text().map(str.encode)))
def test_any_bytes_come_back(text_tokenizer: Tokenizer, data: bytes) -> None:
    ids = text_tokenizer.encode_bytes(data)
    assert text_tokenizer.decode_bytes(ids) == data
    assert all(i >= NUM_SPECIAL for i in ids)
    # Python's own way to carry undecodable bytes in text means the same bytes.
    assert text_tokenizer.encode(data.decode("utf-8", "surrogateescape")) == ids


def test_many_undecodable_bytes_come_back(text_tokenizer: Tokenizer) -> None:
    data = b"\xff\xfea" * 10_000
    assert text_tokenizer.decode_bytes(text_tokenizer.encode_bytes(data)) == data


def test_other_lone_surrogates_are_an_error(text_tokenizer: Tokenizer) -> None:
    with pytest.raises(UnicodeEncodeError):
        text_tokenizer.encode("a\ud800b")


@pytest.mark.parametrize("special", module.SPECIAL_TOKENS)
def test_the_name_of_a_special_token_is_ordinary_text(
    text_tokenizer: Tokenizer, special: str
) -> None:
    # Even text that was part of the training corpus, as "<|user|>" was.
    for text in (special, f"a{special}b", special * 3, f" {special} "):
        ids = text_tokenizer.encode(text)
        assert min(ids) >= NUM_SPECIAL
        assert text_tokenizer.decode(ids) == text


def test_digits_stand_alone(text_tokenizer: Tokenizer) -> None:
    ids = text_tokenizer.encode("1234 12341234")
    assert len(ids) == 13
    assert [text_tokenizer.decode([i]) for i in ids] == list("1234 12341234")


@pytest.mark.parametrize("role", ROLES)
def test_a_message_is_role_text_end(text_tokenizer: Tokenizer, role: str) -> None:
    ids = text_tokenizer.encode_message(role, "hello <|end|>")
    assert ids[0] == text_tokenizer.role_id(role) == module.SPECIAL_TOKENS.index(f"<|{role}|>")
    assert ids[-1] == text_tokenizer.end_id == 1
    assert ids[1:-1] == text_tokenizer.encode("hello <|end|>")
    assert text_tokenizer.decode(ids) == "hello <|end|>"


def test_an_unknown_role_is_named(text_tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="unknown role 'robot': expected one of system, user"):
        text_tokenizer.role_id("robot")


@relaxed
@given(text=st.lists(pieces, min_size=5, max_size=80).map("".join), size=st.integers(1, 12))
def test_long_text_in_pieces_gives_the_ids_of_the_whole(
    text_tokenizer: Tokenizer, text: str, size: int
) -> None:
    whole = text_tokenizer.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_CHARS", size)
        parts = list(module._pieces(text))
        found = text_tokenizer.encode(text)
    assert "".join(parts) == text
    # Where no pre-token begins within the limit, the text is cut anyway: lossless, other ids.
    if all(part.startswith(" ") for part in parts[1:]):
        assert found == whole
    assert text_tokenizer.decode(found) == text


def test_text_beyond_many_pieces_is_encoded_as_one(text_tokenizer: Tokenizer) -> None:
    text = "hello 1234 the weather,\n  isn't it 東京 " * 4000
    assert len(list(module._pieces(text))) > 2
    assert text_tokenizer.encode(text) == list(text_tokenizer._bpe.encode(text).ids)


@relaxed
@given(text=texts)
def test_char_spans_cover_the_text(text_tokenizer: Tokenizer, text: str) -> None:
    ids = text_tokenizer.encode(text)
    spans = text_tokenizer.char_spans(ids)
    assert len(spans) == len(ids)
    covered = 0
    for (start, end), index in zip(spans, ids, strict=True):
        assert 0 <= start < end <= len(text)
        # Tokens that split a character all touch it.
        assert start in (covered, covered - 1)
        covered = end
        assert text_tokenizer.decode_bytes([index]) in text[start:end].encode()
    assert covered == len(text)


def test_saved_and_loaded_it_is_the_same(text_tokenizer: Tokenizer, tmp_path: Path) -> None:
    text_tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.sha256 == text_tokenizer.sha256
    assert loaded.vocab_size == text_tokenizer.vocab_size == 310
    text = "hello world, Größe 1234 東京 <|user|>"
    assert loaded.encode(text) == text_tokenizer.encode(text)
    assert len(loaded.encode("hello weather")) < len("hello weather")


def test_training_is_repeatable(text_tokenizer: Tokenizer) -> None:
    texts = ["the same words " * 9, "and 12 others"]
    one, other = (Tokenizer.train(iter(texts), vocab_size=280) for _ in range(2))
    assert one.sha256 == other.sha256 != text_tokenizer.sha256


def _vocab(data: dict[str, Any]) -> dict[str, Any]:
    vocab: dict[str, Any] = data["model"]["vocab"]
    return vocab


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no model": lambda data: data.pop("model"),
    "no merges": lambda data: data["model"].pop("merges"),
    "vocabulary is a list": lambda data: data["model"].update(vocab=[]),
    "an id is text": lambda data: _vocab(data).update(hello="5"),
    "an id is negative": lambda data: _vocab(data).update(hello=-1),
    "an id is missing": lambda data: _vocab(data).update(hello=5000),
    "an id occurs twice": lambda data: _vocab(data).update(hello=9),
    "a byte is missing": lambda data: _vocab(data).update(aa=_vocab(data).pop("a")),
    "a token is no bytes": lambda data: _vocab(data).update({"東": len(_vocab(data))}),
    "other special tokens": lambda data: _vocab(data).update({"<|user|>": 2, "<|system|>": 3}),
    "a merge of unknown tokens": lambda data: data["model"].update(merges=[["a", "zqx"]]),
    "a merge into a special token": lambda data: data["model"].update(merges=[["<|us", "er|>"]]),
    "a merge of three": lambda data: data["model"].update(merges=[["a", "b", "c"]]),
    "text could forge a role": lambda data: data.update(added_tokens=[{"content": "<|user|>"}]),
    "text is normalised": lambda data: data.update(normalizer={"type": "Lowercase"}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_malformed_file_is_refused(
    text_tokenizer: Tokenizer, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "tokenizer.json"
    text_tokenizer.save(path)
    data = json.loads(path.read_text())
    DAMAGES[damage](data)
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xff", b"null", b'"text"'])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="tokenizer"):
        Tokenizer.load(tmp_path / "tokenizer.json")
    with pytest.raises(CheckpointError, match="cannot read the tokenizer"):
        Tokenizer.load(tmp_path / "absent.json")
