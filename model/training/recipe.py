"""A training recipe: the stages a model goes through, read from JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..config import PRESETS, HSAConfig, checked_fields, require_positive
from ..errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stretch of training with fixed data and losses."""

    tokens: int
    """Tokens to train on in this stage."""
    length: int
    """Tokens per sequence."""
    batch: int
    """Sequences per step."""
    questions: int = 0
    """Tokens at the end of each sequence that pass the whole model; those before them pass its
    lower half only, as a history does in use. 0: all pass the whole model. Other than 0, the only
    task is `history`, whose questions all stand there."""
    learning_rate: float
    """Learning rate at the start of the stage (after the warm-up, in the first stage)."""
    final_learning_rate: float
    """Learning rate at its end; linear in between."""
    retrieval_weight: float = 0.5
    """Factor on the retrieval loss; 0: off."""
    pointer_weight: float = 0.5
    """Factor on the pointer loss; 0: off."""
    rerank_weight: float = 0.5
    """Factor on the rerank loss, in a model that reranks; 0: off."""
    fusion_weight: float = 0.0
    """Factor on the fusion loss; 0: off."""
    value_weight: float = 0.0
    """Factor on the value loss; 0: off."""
    text_sample: float = 1.0
    """Share of the plain-text positions whose next token is predicted; answers always are."""
    bank: int = 0
    """Chunks of past batches, in which no everyday facts are told, kept as more distractors."""
    top_k: int | None = None
    """Chunks per token in this stage; default: the model's."""
    shares: dict[str, float] | None = None
    """Task shares of the mixture; default: the mixture's own."""

    def __post_init__(self) -> None:
        require_positive(self, "tokens", "length", "batch")
        if not 0 <= self.questions < self.length:
            raise ConfigError(
                f"questions ({self.questions}) must be at least 0 and below length ({self.length})"
            )
        told = {task for task, share in (self.shares or {}).items() if share > 0}
        if self.questions and told != {"history"}:
            raise ConfigError(
                f"a stage with questions has shares {{'history': 1.0}}; found {self.shares}"
            )

    @property
    def steps(self) -> int:
        """Optimiser steps of the stage."""
        return -(-self.tokens // (self.length * self.batch))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A model configuration and the stages that train it."""

    model: HSAConfig
    """Dimensions of the model."""
    stages: tuple[Stage, ...]
    """In order."""
    seed: int = 0
    """Seeds weights and data."""
    warmup_steps: int = 100
    """Steps of linear warm-up at the very start."""
    weight_decay: float = 0.01
    """Decay of the matrices."""
    tokenizer_bytes: int = 24_000_000
    """Text to learn the vocabulary from."""
    tokens_per_source: int = 6_000_000
    """Tokens of each corpus that the token cache keeps."""
    exclude: tuple[str, ...] = ()
    """Titles of records to leave out (kept for demonstrations and evaluation)."""

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def locate(self, step: int) -> tuple[Stage, int, int]:
        """Return the stage of `step`, its number, and the steps done in it before."""
        for number, stage in enumerate(self.stages):
            if step < stage.steps:
                return stage, number, step
            step -= stage.steps
        return self.stages[-1], len(self.stages) - 1, self.stages[-1].steps

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of `step`."""
        stage, _, done = self.locate(step)
        at = done / max(1, stage.steps)
        rate = stage.learning_rate + at * (stage.final_learning_rate - stage.learning_rate)
        return rate * min(1.0, (step + 1) / max(1, self.warmup_steps))


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe file, or one that comes with the package by its name (`mini`).

    `model` in it is a preset's name or a map of fields.

    Raises:
        ConfigError: if the file is missing, not JSON, or a field is unknown or missing.
    """
    bundled = Path(__file__).parent / "recipes" / f"{path}.json"
    try:
        data = json.loads((bundled if bundled.exists() else Path(path)).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the recipe {path}: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"the recipe {path} must be a map of fields; found {data!r:.40}")
    model = data.pop("model", None)
    if isinstance(model, str) and model not in PRESETS:
        raise ConfigError(f"unknown preset {model!r}: expected one of {', '.join(PRESETS)}")
    config = PRESETS[model] if isinstance(model, str) else HSAConfig.from_dict(model)
    stages = tuple(Stage(**checked_fields(Stage, stage)) for stage in data.pop("stages", ()))
    if not stages:
        raise ConfigError(f"the recipe {path} has no stages")
    rest = checked_fields(Recipe, {**data, "model": config, "stages": stages})
    return Recipe(**{**rest, "exclude": tuple(rest.get("exclude", ()))})
