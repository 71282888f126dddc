"""HSA-UltraLong in PyTorch: ids in, logits and state out. Knows no session and no store."""

from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .config import PRESETS, HSAConfig, MoEConfig
from .errors import CheckpointError, ConfigError, ModelError
from .report import ModelReport, describe
from .state import ChunkKV, ChunkMemory, ChunkSource, State, WindowCache
from .tokenizer import ROLES, Tokenizer
from .transformer import HSATransformer, Output

__all__ = [
    "PRESETS",
    "ROLES",
    "Checkpoint",
    "CheckpointError",
    "ChunkKV",
    "ChunkMemory",
    "ChunkSource",
    "ConfigError",
    "HSAConfig",
    "HSATransformer",
    "ModelError",
    "ModelReport",
    "MoEConfig",
    "Output",
    "State",
    "Tokenizer",
    "WindowCache",
    "describe",
    "load_checkpoint",
    "save_checkpoint",
]
