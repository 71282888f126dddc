"""Causal attention over the last W tokens, linear in length."""

from .api import sliding_window_attention
from .reference import sliding_window_attention_reference

__all__ = ["sliding_window_attention", "sliding_window_attention_reference"]
