"""Attention inside the chosen chunks, fused by the retrieval weights."""

from .api import chunk_attention
from .reference import chunk_attention_reference

__all__ = ["chunk_attention", "chunk_attention_reference"]
