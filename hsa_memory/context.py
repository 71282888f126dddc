"""Past messages laid out for the prompt of another language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from hsa_memory.model import Tokenizer

from .types import ContextResult, Hit, SearchResult

# Tokens below which a piece of a message is not worth its heading.
_MIN_PIECE_TOKENS = 16
# No token is longer than this, so a text this many times longer cannot fit.
_CHARS_PER_TOKEN = 16


def lay_out(found: SearchResult, tokenizer: Tokenizer, max_tokens: int) -> ContextResult:
    """Take hits, best first, while they fit; a message too long is cut around what was found."""
    chosen: list[tuple[Hit, str]] = []

    def size(entries: Sequence[tuple[Hit, str]]) -> int:
        return len(tokenizer.encode(_joined(entries)))

    for hit in found:
        if len(hit.text) <= max_tokens * _CHARS_PER_TOKEN:
            whole = [*chosen, (hit, _paragraph(hit, hit.text))]
            if size(whole) <= max_tokens:
                chosen = whole
                continue
        cut = _cut(hit, max_tokens - size(chosen), tokenizer)
        if cut and size([*chosen, (hit, cut)]) <= max_tokens:
            chosen.append((hit, cut))
    told = found.diagnostics
    if found and not chosen:
        told += (f"no message fits into {max_tokens} tokens; a heading alone takes some 20",)
    return ContextResult(
        text=_joined(chosen),
        num_tokens=size(chosen),
        hits=tuple(sorted((hit for hit, _ in chosen), key=lambda hit: hit.seq)),
        stats=found.stats,
        diagnostics=told,
    )


def _joined(entries: Sequence[tuple[Hit, str]]) -> str:
    return "\n\n".join(text for _, text in sorted(entries, key=lambda entry: entry[0].seq))


def _paragraph(hit: Hit, text: str) -> str:
    moment = datetime.fromtimestamp(hit.timestamp, timezone.utc)
    return f"[{moment:%Y-%m-%d %H:%M}] {hit.role}: {text}"


def _cut(hit: Hit, max_tokens: int, tokenizer: Tokenizer) -> str | None:
    """Return a paragraph of at most about `max_tokens` around the hit's first span, or None."""
    if max_tokens < _MIN_PIECE_TOKENS or not hit.spans:
        return None
    start, end = hit.spans[0]

    def piece(margin: int) -> str:
        low, high = max(0, start - margin), min(len(hit.text), end + margin)
        before, after = "..." if low else "", "..." if high < len(hit.text) else ""
        return _paragraph(hit, before + hit.text[low:high].strip() + after)

    def fits(margin: int) -> bool:
        # Two tokens for the blank line that joins paragraphs.
        return len(tokenizer.encode(piece(margin))) + 2 <= max_tokens

    margin = _largest(fits, -(end - start) // 2, max_tokens * _CHARS_PER_TOKEN)
    return None if margin is None else piece(margin)


def _largest(fits: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the largest number in low..high that fits, taking smaller ones to fit too."""
    if not fits(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
