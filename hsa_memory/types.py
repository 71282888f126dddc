"""What the memory API returns: frozen values, light to import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What one call cost."""

    tokens_ingested: int = 0
    """History tokens encoded into the memory by this call (lower half of the model only)."""
    tokens_prefilled: int = 0
    """Tokens of the question that ran through the whole model before the first new token."""
    prefilled_history: int = 0
    """History tokens of finished chunks that were encoded again to answer; 0 after a restore."""
    tail_tokens: int = 0
    """History tokens after the last finished chunk that this call ran: fewer than a chunk has, in a
    session without one fewer than finish the first."""
    window_tokens: int = 0
    """History tokens whose saved states went through the upper decoder to fill its windows."""
    tokens_generated: int = 0
    """Tokens of the answer, its end included."""
    chunks_read: int = 0
    """Chunks fetched from disk."""
    bytes_read: int = 0
    """Bytes of keys and values fetched from disk; landmarks are mapped, not read."""
    seconds: float = 0.0
    """Wall time of the call."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a session, as it was added."""

    id: str
    """Unique in its session."""
    seq: int
    """Place in the session, from 0."""
    role: str
    """system, user, assistant, tool or document."""
    text: str
    timestamp: float
    """Unix seconds."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class _AboutMessage:
    """Shortcuts to the fields of `message`."""

    message: Message

    @property
    def id(self) -> str:
        """Id of the message."""
        return self.message.id

    @property
    def seq(self) -> int:
        """Place of the message in the session, from 0."""
        return self.message.seq

    @property
    def role(self) -> str:
        """Who spoke."""
        return self.message.role

    @property
    def text(self) -> str:
        """The whole original message."""
        return self.message.text

    @property
    def timestamp(self) -> float:
        """Unix seconds of the message."""
        return self.message.timestamp

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata of the message."""
        return self.message.metadata


@dataclass(frozen=True, kw_only=True)
class Hit(_AboutMessage):
    """A message that `search` found."""

    message: Message
    score: float
    """Share of the model's retrieval weight that fell on this message, in [0, 1]."""
    spans: tuple[tuple[int, int], ...]
    """Character ranges of the text that lie in the chunks that were found."""
    chunk_ids: tuple[int, ...]
    """The chunks found that the message touches."""


@dataclass(frozen=True, kw_only=True)
class Citation(_AboutMessage):
    """A message that an answer drew on."""

    message: Message
    weight: float
    """Share of the attention to chunks, over the answer's tokens and all HSA layers, that fell on
    this message; in [0, 1]."""
    spans: tuple[tuple[int, int], ...]
    """Character ranges of the text that lie in the chunks that were used."""
    chunk_ids: tuple[int, ...]
    """The chunks used that the message touches."""
    age_seconds: float
    """Seconds from the message's timestamp to the answer."""


@dataclass(frozen=True, kw_only=True)
class SearchResult(Sequence[Hit]):
    """Hits, best first; a sequence of them."""

    hits: tuple[Hit, ...]
    stats: Stats
    diagnostics: tuple[str, ...] = ()
    """What went wrong without making the result wrong, in words; normally empty."""

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...

    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What `ask` returns."""

    question: str
    text: str
    citations: tuple[Citation, ...]
    """Messages that the answer drew on, by falling weight."""
    support: float
    """How much the memory backs the answer, in [0, 1]; 0 for an empty memory. It is
    1 - P(answer | question alone) / P(answer | history, question), the probabilities being
    geometric means over the answer's tokens: near 1 for what only the history tells, near 0 for
    what the model would have said anyway."""
    finish_reason: str
    """"end", or "length" when `max_tokens` cut the answer."""
    stats: Stats
    diagnostics: tuple[str, ...] = ()
    """What went wrong without making the answer wrong, in words; normally empty."""


@dataclass(frozen=True, kw_only=True)
class AddResult:
    """What `add` and `add_messages` return: the messages are on disk."""

    ids: tuple[str, ...]
    """Ids in the order given."""
    seqs: tuple[int, ...]
    """Places in the session, in the order given."""
    num_added: int
    """Messages that were new; the others were known by their id."""
    stats: Stats
    diagnostics: tuple[str, ...] = ()
    """Why messages that are on disk could not be encoded yet, in words; normally empty."""

    @property
    def id(self) -> str:
        """Id of the first message; IndexError if there was none."""
        return self.ids[0]

    @property
    def seq(self) -> int:
        """Place of the first message; IndexError if there was none."""
        return self.seqs[0]


@dataclass(frozen=True, kw_only=True)
class ForgetResult:
    """What `forget` removed, or would remove."""

    ids: tuple[str, ...]
    """Ids that the messages had, in the order of the history."""
    num_tokens: int
    """Their tokens."""
    num_chunks: int = 0
    """Chunks that depended on them: wiped on disk, and encoded again without them."""
    tokens_ingested: int = 0
    """History tokens encoded for that."""
    dry_run: bool = False
    """Whether nothing was changed."""
    scanned_files: int = 0
    """Files that were searched for the removed bytes, if that was asked for."""
    scanned_bytes: int = 0
    traces: tuple[str, ...] = ()
    """Where the search found bytes of them; also of other messages with the same words."""
    seconds: float = 0.0
    diagnostics: tuple[str, ...] = ()
    """What is not finished yet, in words; normally empty."""

    def __len__(self) -> int:
        """Number of messages."""
        return len(self.ids)


@dataclass(frozen=True, kw_only=True)
class ContextResult:
    """Past messages laid out for the prompt of another language model."""

    text: str
    """One paragraph per message, oldest first; empty when nothing fits or nothing is known."""
    num_tokens: int
    """Length of `text` in tokens of the memory's own tokenizer."""
    hits: tuple[Hit, ...]
    """What `text` holds, oldest first."""
    stats: Stats
    diagnostics: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a bulk `add_messages` is; passed to its `progress` callback."""

    messages_added: int
    """Messages acknowledged so far, known ones included."""
    messages_total: int
    tokens_ingested: int
    """Tokens encoded into the memory so far."""
    tokens_pending: int
    """Acknowledged tokens of chunks that could be finished and still wait to be encoded."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class MoveProgress:
    """How far an export, import, backup or re-ingest is; passed to its `progress` callback."""

    session: str
    """Name of the session at hand; empty where all are."""
    done: int
    total: int
    """What `done` will be at the end, as far as that is known."""
    unit: str
    """Of both: "bytes" or "tokens"."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class SessionInfo:
    """A session in the list of a memory."""

    name: str
    id: str
    created: float
    """Unix seconds."""


@dataclass(frozen=True, kw_only=True)
class UserInfo:
    """A user in the list of a memory."""

    name: str
    created: float
    """Unix seconds of the first session or quota."""
    num_sessions: int
    num_tokens: int
    """Tokens of all sessions, without those of forgotten messages."""
    bytes_on_disk: int
    """Of all sessions."""
    max_tokens: int | None
    """Most tokens; None: no limit."""
    max_bytes: int | None
    """Most bytes on disk; None: no limit."""
    encrypted: bool


@dataclass(frozen=True, kw_only=True)
class SessionStats:
    """The size of a session."""

    name: str
    num_messages: int
    num_tokens: int
    """Tokens of the whole history."""
    num_chunks: int
    """Chunks of the history whose landmark and keys and values are on disk."""
    chunk_size: int
    """Tokens per chunk."""
    kv_dtype: str
    """Number format of keys and values on disk, as `hsa_memory.open` takes it."""
    bytes_on_disk: Mapping[str, int]
    """Bytes by kind of file."""
    bytes_per_token: float
    """All bytes on disk divided by the tokens; 0 for an empty session."""


@dataclass(frozen=True, kw_only=True)
class MemoryStats:
    """The size of a memory, and the model it uses."""

    path: str
    model: str
    """Name or path the memory was opened with."""
    fingerprint: str
    """Hex sha256 of weights, configuration and tokenizer."""
    num_parameters: int
    kv_dtype: str
    """Number format of keys and values on disk, of the sessions made by this memory."""
    num_sessions: int
    """Sessions that this handle sees: its user's, or the memory's own."""
    bytes_on_disk: int
    """Of those sessions; without a user also of what belongs to nobody."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that `check` found."""

    session: str
    """Session name; empty for the store itself."""
    path: str
    """File, relative to the memory's folder."""
    kind: str
    """Short name, for example "corrupt-chunk"."""
    detail: str
    repaired: bool = False
    user: str = ""
    """Name of the user whose session it is; empty for the memory's own."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What `export`, `import_file`, `backup` and `reingest` return."""

    path: str
    """The file or folder; the memory's own folder for `reingest`."""
    sessions: tuple[str, ...]
    """Names, as they are where the sessions have come to."""
    num_messages: int
    """Messages, forgotten ones included."""
    num_tokens: int
    num_bytes: int = 0
    """Bytes written to the file or folder; 0 where none were written outside of the memory."""
    tokens_ingested: int = 0
    """History tokens that were encoded; 0 if derived state came along and could be used."""
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()
    """What the verification of a backup found; normally empty."""
