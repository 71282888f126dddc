"""The best chunks of each query, by landmark."""

from .api import TopK, landmark_topk
from .quantized import Quantized, quantize_landmarks
from .reference import landmark_topk_reference

__all__ = ["Quantized", "TopK", "landmark_topk", "landmark_topk_reference", "quantize_landmarks"]
