"""How well the tokens of the chosen chunks match a query."""

from .api import chunk_scores
from .reference import chunk_scores_reference

__all__ = ["chunk_scores", "chunk_scores_reference"]
