"""The mean of two checkpoints of one model: scripts/average.py ONE OTHER TO

For ends of branches of one training: their mean is often better than either.
"""

from __future__ import annotations

import sys

import torch

from hsa_memory.model import load_checkpoint, save_checkpoint


def main(one: str, other: str, target: str) -> None:
    """Write the mean of two checkpoints, rounded to bfloat16, to `target`."""
    first, second = (load_checkpoint(path, dtype=torch.float32) for path in (one, other))
    if first.config != second.config or first.tokenizer.sha256 != second.tokenizer.sha256:
        raise SystemExit(f"{one} and {other} differ in configuration or tokenizer")
    others = second.model.state_dict()
    for name, tensor in first.model.state_dict().items():
        if tensor.is_floating_point():
            tensor.add_(others[name]).div_(2)
    save_checkpoint(target, first.model, first.tokenizer, dtype=torch.bfloat16)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
