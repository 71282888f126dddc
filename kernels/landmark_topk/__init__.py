"""The best chunks of each query, by landmark."""

from .api import TopK, landmark_topk
from .reference import landmark_topk_reference

__all__ = ["TopK", "landmark_topk", "landmark_topk_reference"]
