"""Recipes: stages, learning rates, and what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hsa_memory.model import PRESETS, ConfigError
from hsa_memory.model.training.recipe import Recipe, Stage, load_recipe

STAGE = {
    "tokens": 1000,
    "length": 100,
    "batch": 2,
    "learning_rate": 0.4,
    "final_learning_rate": 0.2,
}


def write(path: Path, recipe: Any) -> Path:
    path.write_text(recipe if isinstance(recipe, str) else json.dumps(recipe), encoding="utf-8")
    return path


def test_a_recipe_is_read_with_its_defaults(tmp_path: Path) -> None:
    recipe = {"model": "mini", "stages": [STAGE, {**STAGE, "bank": 7}], "exclude": ["A Book"]}
    found = load_recipe(write(tmp_path / "r.json", recipe))
    assert found.model == PRESETS["mini"]
    assert [stage.bank for stage in found.stages] == [0, 7]
    assert found.exclude == ("A Book",)
    assert found.steps == 10


def test_steps_are_located_in_their_stages() -> None:
    recipe = Recipe(model=PRESETS["mini"], stages=(Stage(**STAGE), Stage(**STAGE)), warmup_steps=0)
    assert [recipe.locate(step)[1:] for step in (0, 4, 5, 9, 10)] == [
        (0, 0),
        (0, 4),
        (1, 0),
        (1, 4),
        (1, 5),
    ]
    # A part of a step counts as one.
    assert Stage(**{**STAGE, "tokens": 1001}).steps == 6


def test_the_learning_rate_warms_up_and_falls() -> None:
    flat = {**STAGE, "tokens": 4000, "final_learning_rate": 0.4}
    recipe = Recipe(model=PRESETS["mini"], stages=(Stage(**flat), Stage(**STAGE)), warmup_steps=4)
    rates = [recipe.learning_rate(step) for step in range(recipe.steps)]
    assert rates[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert rates[20:] == pytest.approx([0.4, 0.36, 0.32, 0.28, 0.24])


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("{", "cannot read the recipe"),
        ("[]", "must be a map"),
        ("3", "must be a map"),
        ({"model": "mini"}, "has no stages"),
        ({"model": "mini", "stages": []}, "has no stages"),
        ({"model": "huge", "stages": [STAGE]}, "unknown preset 'huge': expected one of mini"),
        ({"stages": [STAGE]}, "HSAConfig must be a map of fields; found NoneType"),
        ({"model": {"top_k": 3}, "stages": [STAGE]}, "missing fields"),
        ({"model": "mini", "stages": [STAGE], "sead": 1}, r"unknown fields \['sead'\]"),
        ({"model": "mini", "stages": [{"tokens": 3}]}, r"Stage: .*missing fields \['batch'"),
        ({"model": "mini", "stages": [{**STAGE, "rate": 3}]}, r"Stage: unknown fields \['rate'\]"),
        ({"model": "mini", "stages": [{**STAGE, "length": 0}]}, "length must be positive; found 0"),
        ({"model": "mini", "stages": [{**STAGE, "batch": "2"}]}, "batch must be int; found '2'"),
        ({"model": "mini", "stages": ["all"]}, "Stage must be a map"),
        (
            {"model": "mini", "stages": [{**STAGE, "questions": 100}]},
            r"questions \(100\) must be at least 0 and below length \(100\)",
        ),
        (
            {"model": "mini", "stages": [{**STAGE, "questions": 50, "shares": {"copy": 1.0}}]},
            r"a stage with questions has shares \{'history': 1.0\}; found \{'copy': 1.0\}",
        ),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(tmp_path: Path, recipe: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(write(tmp_path / "r.json", recipe))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the recipe .*absent\.json"):
        load_recipe(tmp_path / "absent.json")
