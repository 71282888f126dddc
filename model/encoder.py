"""The chunk encoder: 64 lower outputs become one landmark and the K and V of all HSA layers.

Letters: N chunks (of all rows), S chunk size, A tokens of lookahead, M = S + A + 1 with the CLS
vector, h hidden size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import HSAConfig
from .layers import RMSNorm, Rotation, SwiGLU, rotate, rotation
from .state import ChunkKV


class EncodedChunks(NamedTuple):
    """Landmarks [B, C, R, E] and shared K/V [B, C, S, G, D]."""

    landmarks: Tensor
    kv: ChunkKV


class ChunkEncoder(nn.Module):
    """Bidirectional layers over each chunk with a CLS vector at its end (paper section 2.1).

    What begins in one chunk and ends in the next could be found through neither: the tokens that
    follow a chunk are looked at too, if the model is configured so, and have no K and V in it.
    """

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        self.config = config
        heads, size = config.hsa_num_kv_heads, config.head_dim
        self.cls = nn.Parameter(torch.empty(config.hidden_size))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_encoder_layers))
        self.norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.key = nn.Linear(config.hidden_size, heads * size, bias=False)
        self.value = nn.Linear(config.hidden_size, heads * size, bias=False)
        self.key_norm = RMSNorm(size, config.norm_eps)
        self.landmark = nn.Linear(config.hidden_size, heads * config.retrieval_dim, bias=False)
        normalize = config.normalize_retrieval
        self.landmark_norm = RMSNorm(config.retrieval_dim, config.norm_eps) if normalize else None

    def forward(self, chunks: Tensor, ahead: Tensor | None = None) -> EncodedChunks:
        """Encode chunks [B, C, S, h] of lower outputs.

        Args:
            chunks: their own tokens; each is encoded by itself.
            ahead: [B, C, A, h], the tokens that follow each; default: none.
        """
        batch, count, size, hidden = chunks.shape
        heads = self.config.hsa_num_kv_heads
        x = chunks.reshape(batch * count, size, hidden)
        parts = [x, self.cls.to(x.dtype).expand(len(x), 1, hidden)]
        positions = torch.arange(size + 1, device=x.device)
        if ahead is not None and ahead.shape[2]:
            parts.append(ahead.reshape(batch * count, -1, hidden))
            # As if the CLS vector, which stands at the first one's place, were not there.
            beyond = torch.arange(size, size + ahead.shape[2], device=x.device)
            positions = torch.cat([positions, beyond])
        x = torch.cat(parts, dim=1)  # [N, M, h]
        by = rotation(positions[None], self.config.head_dim, self.config.rope_theta, x.dtype)
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            x = layer(x, by, size + 1 if i == last else x.shape[1])
        x = self.norm(x)
        tokens = x[:, :size].reshape(batch, count, size, hidden)
        keys = self.key_norm(self.key(tokens).unflatten(-1, (heads, -1)))
        values = self.value(tokens).unflatten(-1, (heads, -1))
        landmarks = self.landmark(x[:, size]).reshape(batch, count, heads, -1)
        if self.landmark_norm is not None:
            landmarks = self.landmark_norm(landmarks)
        return EncodedChunks(landmarks, ChunkKV(keys, values))


class EncoderLayer(nn.Module):
    """Pre-norm attention without a mask, then a feed-forward."""

    def __init__(self, config: HSAConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.sizes = (config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim)
        self.attention_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.qkv = nn.Linear(
            config.hidden_size, self.sizes[0] + 2 * self.sizes[1], bias=config.encoder_bias
        )
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.out = nn.Linear(self.sizes[0], config.hidden_size, bias=False)
        self.mlp_norm = RMSNorm(config.hidden_size, config.norm_eps)
        # The published encoder's width: 8/3 of the hidden size, rounded down to 64.
        self.mlp = SwiGLU(config.hidden_size, max(64, config.hidden_size * 8 // 3 // 64 * 64))

    def forward(self, x: Tensor, by: Rotation, keep: int) -> Tensor:
        """Map the first `keep` tokens of [N, M, h], which see all of them, to [N, keep, h]."""
        q, k, v = self.qkv(self.attention_norm(x)).split(
            [self.sizes[0], self.sizes[1], self.sizes[1]], dim=-1
        )
        own = Rotation(*(r[:, :keep] for r in by))
        q = rotate(self.q_norm(q[:, :keep].unflatten(-1, (-1, self.head_dim))), own)
        k = rotate(self.k_norm(k.unflatten(-1, (-1, self.head_dim))), by)
        v = v.unflatten(-1, (-1, self.head_dim))
        x = x[:, :keep] + self.out(_attend(q, k, v).flatten(2))
        y: Tensor = x + self.mlp(self.mlp_norm(x))
        return y


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention within each chunk: queries [N, Q, H, D] of its first Q tokens, keys and values of
    all [N, M, G, D], R = H / G."""
    chunks, length, heads, dim = q.shape
    groups = k.shape[2]
    rows = q.view(chunks, length, groups, heads // groups, dim).permute(0, 2, 3, 1, 4)
    rows = rows.reshape(chunks, groups, -1, dim) * dim**-0.5  # [N, G, R*Q, D]
    mixing = F.softmax(torch.matmul(rows, k.permute(0, 2, 3, 1)), dim=-1)
    out = torch.matmul(mixing, v.transpose(1, 2)).view(chunks, heads, length, dim)
    return out.transpose(1, 2)
