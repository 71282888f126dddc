"""The chunk encoder: 64 lower outputs become one landmark and the K and V of all HSA layers.

Letters: N chunks (of all rows), S chunk size, A = S + 1 with the CLS vector, h hidden size.
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
    """Bidirectional layers over each chunk with a CLS vector at its end (paper section 2.1)."""

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

    def forward(self, chunks: Tensor) -> EncodedChunks:
        """Encode whole chunks [B, C, S, h]; each depends on its own tokens only."""
        batch, count, size, hidden = chunks.shape
        heads = self.config.hsa_num_kv_heads
        x = chunks.reshape(batch * count, size, hidden)
        x = torch.cat([x, self.cls.to(x.dtype).expand(len(x), 1, hidden)], dim=1)  # [N, A, h]
        positions = torch.arange(size + 1, device=x.device)[None]
        by = rotation(positions, self.config.head_dim, self.config.rope_theta, x.dtype)
        for layer in self.layers:
            x = layer(x, by)
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

    def forward(self, x: Tensor, by: Rotation) -> Tensor:
        """Map [N, A, h] to the same shape."""
        q, k, v = self.qkv(self.attention_norm(x)).split(
            [self.sizes[0], self.sizes[1], self.sizes[1]], dim=-1
        )
        q = rotate(self.q_norm(q.unflatten(-1, (-1, self.head_dim))), by)
        k = rotate(self.k_norm(k.unflatten(-1, (-1, self.head_dim))), by)
        v = v.unflatten(-1, (-1, self.head_dim))
        x = x + self.out(_attend(q, k, v).flatten(2))
        y: Tensor = x + self.mlp(self.mlp_norm(x))
        return y


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Full attention within each chunk: q [N, A, H, D], k and v [N, A, G, D]."""
    chunks, length, heads, dim = q.shape
    groups = k.shape[2]
    rows = q.view(chunks, length, groups, heads // groups, dim).permute(0, 2, 3, 1, 4)
    rows = rows.reshape(chunks, groups, -1, dim) * dim**-0.5  # [N, G, R*A, D]
    mixing = F.softmax(torch.matmul(rows, k.permute(0, 2, 3, 1)), dim=-1)
    out = torch.matmul(mixing, v.transpose(1, 2)).view(chunks, heads, length, dim)
    return out.transpose(1, 2)
