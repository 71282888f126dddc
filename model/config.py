"""The configuration of a model and the presets, both plain data."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from .errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class MoEConfig:
    """Mixture-of-experts feed-forward: one routed and one shared part, balanced by bias."""

    num_experts: int
    """Routed experts per layer."""
    experts_per_token: int
    """Routed experts that a token uses."""
    expert_size: int
    """Intermediate size of one expert."""
    num_shared_experts: int = 1
    """Experts every token uses, fused into one feed-forward."""
    bias_update_rate: float = 1e-3
    """Step of the auxiliary-loss-free balancing bias (arXiv 2408.15664) per training step."""

    def __post_init__(self) -> None:
        require_positive(self, "num_experts", "experts_per_token", "expert_size")
        if self.experts_per_token > self.num_experts:
            raise ConfigError(
                f"experts_per_token ({self.experts_per_token}) must be at most num_experts "
                f"({self.num_experts})"
            )
        if self.num_shared_experts < 0 or not self.bias_update_rate >= 0:
            raise ConfigError(
                f"num_shared_experts ({self.num_shared_experts}) and bias_update_rate "
                f"({self.bias_update_rate}) must not be negative"
            )


@dataclass(frozen=True, kw_only=True)
class HSAConfig:
    """All dimensions and switches of an HSA-UltraLong model."""

    vocab_size: int
    """Entries of the tokenizer, special tokens included."""
    hidden_size: int
    """Width of the residual stream."""
    intermediate_size: int
    """Width of a dense SwiGLU feed-forward."""
    num_lower_layers: int
    """Sliding-window layers of the lower decoder."""
    num_upper_layers: int
    """Sliding-window layers of the upper decoder, all groups together; HSA layers come on top."""
    num_groups: int
    """Groups of the upper decoder: one HSA layer, then num_upper_layers / num_groups layers.
    0: neither memory nor upper decoder, a plain transformer to compare with."""
    num_heads: int
    """Query heads of sliding-window attention and of the chunk encoder."""
    num_kv_heads: int
    """KV heads of sliding-window attention and of the chunk encoder."""
    head_dim: int = 64
    """Dimensions per head, everywhere."""
    hsa_num_heads: int
    """Query heads of HSA."""
    hsa_num_kv_heads: int = 1
    """KV heads of the shared memory; also the number of retrieval heads."""
    chunk_size: int = 64
    """Tokens per chunk (S)."""
    top_k: int
    """Chunks each token attends to (K)."""
    window: int = 512
    """Tokens a sliding-window layer sees, the current one included (W)."""
    hsa_window: int = 0
    """Window of the sliding-window attention inside HSA layers; 0: HSA layers have none."""
    retrieval_dim: int
    """Dimensions of one landmark and retrieval query, per retrieval head."""
    num_encoder_layers: int = 1
    """Bidirectional layers of the chunk encoder."""
    encoder_lookahead: int = 0
    """Tokens after a chunk that its encoder sees (A): a chunk is finished once they are there.
    0: none, as in the paper. At most `chunk_size`."""
    encoder_bias: bool = True
    """Whether the encoder's q, k and v projections have a bias."""
    normalize_retrieval: bool = False
    """RMS-normalise landmarks and retrieval queries."""
    embedding_norm: bool = False
    """Scale token embeddings to unit RMS before the first layer (small models need it)."""
    bypass_residual: bool = True
    """HSA layer: y = r + MLP(norm(r + HSA)), HSA's output itself not added back."""
    hsa_query_gain: float = 1.0
    """Initial value of the weights of HSA's query norms, that of the rerank queries included."""
    rerank_heads: int = 0
    """Query heads per KV head (M) that compare a token with the keys of its chosen chunks, to add
    what they find to the retrieval scores before fusion. 0: landmarks alone, as in the paper."""
    recency: bool = False
    """Whether a token may prefer the newest (or the oldest) of chosen chunks that match alike, by
    the order in which they stand. False: order plays no part in HSA, as in the paper."""
    gumbel_noise: bool = False
    """Add Gumbel noise to the scores, for the choice of chunks only, in training."""
    rope_theta: float = 10_000.0
    """Base of the rotary positions of the sliding window and of the encoder."""
    norm_eps: float = 1e-6
    """Epsilon of every RMSNorm."""
    tie_embeddings: bool = True
    """Whether the output head is the embedding matrix."""
    moe: MoEConfig | None = None
    """Experts in place of dense feed-forwards, except in the first layer; None: all dense."""

    def __post_init__(self) -> None:
        require_positive(
            self,
            *("vocab_size", "hidden_size", "intermediate_size", "num_lower_layers"),
            *("num_heads", "num_kv_heads", "head_dim", "hsa_num_heads", "hsa_num_kv_heads"),
            *("chunk_size", "top_k", "window", "retrieval_dim", "num_encoder_layers"),
            *("hsa_query_gain", "rope_theta", "norm_eps"),
        )
        for name in (
            *("num_groups", "num_upper_layers"),
            *("hsa_window", "rerank_heads", "encoder_lookahead"),
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} ({getattr(self, name)}) must not be negative")
        if not self.num_groups and self.num_upper_layers:
            raise ConfigError(
                f"num_upper_layers ({self.num_upper_layers}) must be 0 if num_groups is: without "
                "HSA layers all layers are lower ones"
            )
        for whole, part in (
            ("num_heads", "num_kv_heads"),
            ("hsa_num_heads", "hsa_num_kv_heads"),
            ("num_upper_layers", "num_groups"),
        ):
            if getattr(self, whole) % max(1, getattr(self, part)):
                raise ConfigError(
                    f"{whole} ({getattr(self, whole)}) must be a multiple of "
                    f"{part} ({getattr(self, part)})"
                )
        if self.head_dim % 2:
            raise ConfigError(f"head_dim ({self.head_dim}) must be even for rotary positions")
        if self.encoder_lookahead > self.chunk_size:
            raise ConfigError(
                f"encoder_lookahead ({self.encoder_lookahead}) must be at most chunk_size "
                f"({self.chunk_size})"
            )

    @property
    def layers_per_group(self) -> int:
        """Sliding-window layers after each HSA layer."""
        return self.num_upper_layers // max(1, self.num_groups)

    @property
    def lower_reach(self) -> int:
        """Earlier tokens that can influence a token's lower-decoder output."""
        return self.num_lower_layers * (self.window - 1)

    @property
    def upper_reach(self) -> int:
        """Earlier tokens that can influence a token's output through the upper windows."""
        own = self.num_groups * max(0, self.hsa_window - 1)
        return own + self.num_upper_layers * (self.window - 1)

    @property
    def retrieval_reach(self) -> int:
        """Earlier tokens that can influence what the last HSA layer looks for: those in the upper
        windows below it."""
        own = self.num_groups * max(0, self.hsa_window - 1)
        return own + (self.num_groups - 1) * self.layers_per_group * (self.window - 1)

    def num_chunks(self, num_tokens: int) -> int:
        """Chunks that are finished after so many tokens; none ever without HSA layers."""
        if not self.num_groups:
            return 0
        return max(0, num_tokens - self.encoder_lookahead) // self.chunk_size

    def first_chunk(self, token: int) -> int:
        """The first chunk that depends on a token, its own or the one that has looked at it."""
        return self.num_chunks(token)

    def num_tokens(self, num_chunks: int) -> int:
        """Tokens after which so many chunks are finished."""
        return num_chunks * self.chunk_size + self.encoder_lookahead if num_chunks else 0

    @property
    def memory_values_per_chunk(self) -> tuple[int, int]:
        """Numbers kept per chunk: (landmark values, K and V values)."""
        heads = self.hsa_num_kv_heads
        return heads * self.retrieval_dim, 2 * self.chunk_size * heads * self.head_dim

    def to_json(self) -> str:
        """Return the configuration as JSON, keys sorted."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> HSAConfig:
        """Parse `to_json`'s output; unknown, missing or ill-typed fields raise `ConfigError`."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"config is not JSON: {error}") from error
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Any) -> HSAConfig:
        """Build a configuration from plain data; raises `ConfigError` naming what is wrong."""
        data = checked_fields(cls, data)
        if data.get("moe") is not None:
            data["moe"] = MoEConfig(**checked_fields(MoEConfig, data["moe"]))
        return cls(**data)


_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (float, int), "bool": (bool,)}


def checked_fields(cls: type, data: Any) -> dict[str, Any]:
    """Return `data` if it is a map of the fields of `cls`, plain ones of the right type."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    if not isinstance(data, dict):
        raise ConfigError(f"{cls.__name__} must be a map of fields; found {type(data).__name__}")
    unknown = sorted(set(data) - set(fields))
    required = {n for n, f in fields.items() if f.default is dataclasses.MISSING}
    missing = sorted(required - set(data))
    if unknown or missing:
        raise ConfigError(f"{cls.__name__}: unknown fields {unknown}, missing fields {missing}")
    for name, value in data.items():
        expected = _TYPES.get(str(fields[name].type))
        is_bool = isinstance(value, bool)
        if expected and (not isinstance(value, expected) or is_bool != (bool in expected)):
            raise ConfigError(f"{cls.__name__}.{name} must be {fields[name].type}; found {value!r}")
    return dict(data)


def require_positive(config: Any, *names: str) -> None:
    """Raise `ConfigError` unless the fields `names` are greater than 0."""
    for name in names:
        if not getattr(config, name) > 0:  # catches NaN as well
            raise ConfigError(f"{name} must be positive; found {getattr(config, name)}")


MINI = HSAConfig(
    vocab_size=4096,
    hidden_size=192,
    intermediate_size=512,
    num_lower_layers=4,
    num_upper_layers=2,
    num_groups=2,
    num_heads=3,
    num_kv_heads=1,
    hsa_num_heads=4,
    chunk_size=32,
    top_k=16,
    window=64,
    retrieval_dim=128,
    normalize_retrieval=True,
    embedding_norm=True,
    bypass_residual=False,
    hsa_query_gain=2.0,
    rerank_heads=2,
    recency=True,
    num_encoder_layers=2,
    encoder_lookahead=16,
)

PUBLISHED_345M = HSAConfig(
    vocab_size=100_278,
    hidden_size=1024,
    intermediate_size=4096,
    num_lower_layers=8,
    num_upper_layers=8,
    num_groups=2,
    num_heads=16,
    num_kv_heads=2,
    hsa_num_heads=16,
    top_k=32,
    retrieval_dim=1024,
    gumbel_noise=True,
)

# The paper gives no dimensions for its 0.5B and 8B-A1B models: those below are ours, chosen to
# meet the published parameter counts, expert counts, chunk size and 16:1 head ratio.
OURS_DENSE_500M = HSAConfig(
    vocab_size=100_278,
    hidden_size=1024,
    intermediate_size=4096,
    num_lower_layers=12,
    num_upper_layers=12,
    num_groups=2,
    num_heads=16,
    num_kv_heads=2,
    hsa_num_heads=16,
    top_k=64,
    window=4096,
    hsa_window=512,
    retrieval_dim=1024,
)

OURS_MOE_8B_A1B = HSAConfig(
    vocab_size=100_278,
    hidden_size=2048,
    intermediate_size=5632,
    num_lower_layers=9,
    num_upper_layers=8,
    num_groups=2,
    num_heads=16,
    num_kv_heads=4,
    head_dim=128,
    hsa_num_heads=16,
    top_k=64,
    window=4096,
    hsa_window=512,
    retrieval_dim=1024,
    tie_embeddings=False,
    moe=MoEConfig(num_experts=64, experts_per_token=4, expert_size=1024),
)

PRESETS = {
    "mini": MINI,
    "345m": PUBLISHED_345M,
    "0.5b": OURS_DENSE_500M,
    "8b-a1b": OURS_MOE_8B_A1B,
}
