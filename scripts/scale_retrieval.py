"""Sharpen the retrieval of a trained checkpoint: scripts/scale_retrieval.py FACTOR FROM TO

Training sees hundreds of chunks at a time, use thousands: the softmax over retrieval scores is
then too flat. The factor goes into the weight of the retrieval queries' norm, into the gain of the
rerank heads and into the preference for what is recent, so no code knows of it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

SCALED = (
    "retrieval.query_norm.weight", "rerank.gain", "recency.preference.weight",
    "recency.preference.bias",
)  # fmt: skip
# Multiplied with scores that are scaled already.
UNSCALED = "recency.gain"


def main(factor: float, source: Path, target: Path) -> None:
    """Write the checkpoint `source` with retrieval scores times `factor` to `target`."""
    weights = load_file(source / "model.safetensors")
    names = [name for name in weights if name.endswith(SCALED)]
    if not any(name.endswith(SCALED[0]) for name in names):
        raise SystemExit(f"{source} has no {SCALED[0]}: its retrieval is not normalised")
    for name in names:
        weights[name] = (weights[name].float() * factor).to(weights[name].dtype)
    for name in (name for name in weights if name.endswith(UNSCALED)):
        weights[name] = (weights[name].float() / factor).to(weights[name].dtype)
    target.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(source / name, target / name)
    save_file(weights, target / "model.safetensors")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(float(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
