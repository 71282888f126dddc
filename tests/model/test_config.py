"""Configurations: validation, JSON, presets and their sizes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from hsa_memory.model import PRESETS, ConfigError, HSAConfig, MoEConfig, describe

SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_lower_layers": 1,
    "num_upper_layers": 2,
    "num_groups": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 4,
    "hsa_num_heads": 4,
    "hsa_num_kv_heads": 2,
    "chunk_size": 8,
    "top_k": 3,
    "window": 5,
    "hsa_window": 3,
    "retrieval_dim": 6,
}
EXPERTS = {"num_experts": 5, "experts_per_token": 2, "expert_size": 8}


@pytest.mark.parametrize("name", PRESETS)
def test_json_gives_back_the_same_configuration(name: str) -> None:
    config = PRESETS[name]
    assert HSAConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["vocab_size"] == config.vocab_size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hiden_size": 3}, r"unknown fields \['hiden_size'\]"),
        ({"vocab_size": None}, "vocab_size must be int; found None"),
        ({"vocab_size": 50.0}, "vocab_size must be int; found 50.0"),
        ({"top_k": "3"}, "top_k must be int; found '3'"),
        ({"top_k": True}, "top_k must be int; found True"),
        ({"gumbel_noise": 1}, "gumbel_noise must be bool; found 1"),
        ({"norm_eps": "small"}, "norm_eps must be float"),
        ({"norm_eps": float("nan")}, "norm_eps must be positive; found nan"),
        ({"hidden_size": 0}, "hidden_size must be positive; found 0"),
        ({"chunk_size": -8}, "chunk_size must be positive; found -8"),
        ({"hsa_window": -1}, r"hsa_window \(-1\)"),
        ({"num_upper_layers": -2}, r"num_upper_layers \(-2\)"),
        ({"num_groups": -1}, r"num_groups \(-1\) must not be negative"),
        ({"num_groups": 0}, r"num_upper_layers \(2\) must be 0 if num_groups is"),
        ({"rerank_heads": -1}, r"rerank_heads \(-1\)"),
        ({"num_kv_heads": 3}, r"num_heads \(4\) must be a multiple of num_kv_heads \(3\)"),
        ({"hsa_num_kv_heads": 3}, r"hsa_num_heads \(4\) must be a multiple"),
        ({"num_upper_layers": 3}, r"num_upper_layers \(3\) must be a multiple of num_groups \(2\)"),
        ({"head_dim": 5}, r"head_dim \(5\) must be even"),
        ({"moe": 4}, "MoEConfig must be a map of fields; found int"),
        ({"moe": {"num_experts": 4}}, r"missing fields \['expert_size', 'experts_per_token'\]"),
        ({"moe": {**EXPERTS, "experts_per_token": 6}}, r"experts_per_token \(6\) must be at most"),
        ({"moe": {**EXPERTS, "num_experts": 0}}, "num_experts must be positive"),
        ({"moe": {**EXPERTS, "num_shared_experts": -1}}, r"num_shared_experts \(-1\)"),
        ({"moe": {**EXPERTS, "bias_update_rate": -0.1}}, r"bias_update_rate \(-0.1\)"),
    ],
)
def test_what_cannot_be_built_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HSAConfig.from_dict({**SMALL, **change})


def test_missing_fields_and_other_documents_are_named() -> None:
    data = dict(SMALL)
    del data["top_k"], data["num_groups"]
    with pytest.raises(ConfigError, match=r"missing fields \['num_groups', 'top_k'\]"):
        HSAConfig.from_dict(data)
    with pytest.raises(ConfigError, match="must be a map of fields; found list"):
        HSAConfig.from_json("[]")
    with pytest.raises(ConfigError, match="config is not JSON"):
        HSAConfig.from_json("{")


def test_a_configuration_cannot_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["mini"].top_k = 4  # type: ignore[misc]


def test_reach_is_what_the_windows_add_up_to() -> None:
    config = HSAConfig(**SMALL)
    assert config.layers_per_group == 1
    assert config.lower_reach == 1 * 4
    assert config.upper_reach == 2 * 4 + 2 * 2


def test_a_report_counts_by_hand() -> None:
    config = HSAConfig(**SMALL, moe=MoEConfig(**EXPERTS))
    h, attention = 16, 16 * (16 + 2 * 8) + 2 * 4 + 16 * 16
    dense, expert = 3 * 16 * 24, 3 * 16 * 8
    sparse = 5 * 16 + 6 * expert  # router, five routed and one shared expert
    lower = 2 * h + attention + dense
    hsa = (h + 16 * 12) + (h + attention) + h + 16 * 16 + 4 + 16 * 16 + h + sparse
    upper = 2 * hsa + 2 * (2 * h + attention + sparse) + h
    encoder = h + (2 * h + attention + 32 + 3 * 16 * 64) + h + 2 * (16 * 8) + 4 + 16 * 12
    report = describe(config)
    assert report.parameters == 50 * h + lower + upper + encoder
    assert report.active_parameters == report.parameters - 4 * 3 * expert
    # Per chunk: 2 landmarks of 6 and 8 tokens of 2 heads of 4, K and V, two bytes each.
    assert report.memory_bytes_per_token == (12 + 2 * 8 * 8) * 2 / 8


@pytest.mark.parametrize(
    ("name", "parameters", "active", "memory_bytes"),
    [
        ("mini", (4.8e6, 4.9e6), (4.8e6, 4.9e6), 264),
        ("345m", (385_061_440, 385_061_440), (385_061_440, 385_061_440), 288),
        ("0.5b", (5.0e8, 5.2e8), (5.0e8, 5.2e8), 288),
        ("8b-a1b", (7.5e9, 8.5e9), (0.9e9, 1.3e9), 544),
    ],
)
def test_presets_have_the_sizes_they_are_named_for(
    name: str, parameters: tuple[float, float], active: tuple[float, float], memory_bytes: int
) -> None:
    report = describe(PRESETS[name])
    assert parameters[0] <= report.parameters <= parameters[1]
    assert active[0] <= report.active_parameters <= active[1]
    assert report.memory_bytes_per_token == memory_bytes


def test_the_bundled_model_stays_within_its_limits() -> None:
    assert describe(PRESETS["mini"]).parameters < 32_000_000
