"""Put more layers into a trained checkpoint: scripts/grow.py FROM TO [--lower N] [--encoder N]
[--lookahead A] [--recency]

N is how many the lower decoder or the chunk encoder has afterwards (default: as many as before).
New layers stand behind the trained ones, and like a preference for what is recent they add nothing
yet: the grown model, in bfloat16, answers as the one it came from, but for a lookahead, which has
to be trained. `hsa-memory train --init TO` goes on from there, with a recipe of the stages to come.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from hsa_memory.model.checkpoint import load_checkpoint, save_checkpoint
from hsa_memory.model.transformer import HSATransformer


def main(
    source: Path,
    target: Path,
    lower: int | None,
    encoder: int | None,
    lookahead: int | None,
    recency: bool,
) -> None:
    """Write the checkpoint `source` with as many layers as said to `target`."""
    trained = load_checkpoint(source, dtype=torch.float32)
    old = trained.config
    new = dataclasses.replace(
        old,
        num_lower_layers=old.num_lower_layers if lower is None else lower,
        num_encoder_layers=old.num_encoder_layers if encoder is None else encoder,
        encoder_lookahead=old.encoder_lookahead if lookahead is None else lookahead,
        recency=old.recency or recency,
    )
    if (
        new.num_lower_layers < old.num_lower_layers
        or new.num_encoder_layers < old.num_encoder_layers
    ):
        raise SystemExit(
            f"{source} has {old.num_lower_layers} lower, {old.num_encoder_layers} encoder layers: "
            "ask for as many or more"
        )
    torch.manual_seed(0)
    model = HSATransformer(new)
    fresh, known = model.state_dict(), trained.model.state_dict()
    for name in fresh.keys() - known.keys():
        if name.endswith(("out.weight", "down.weight", "preference.weight")):
            fresh[name].zero_()
    model.load_state_dict(fresh | known)
    save_checkpoint(target, model, trained.tokenizer, dtype=torch.bfloat16)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, metavar="FROM", help="checkpoint folder")
    parser.add_argument("target", type=Path, metavar="TO", help="folder to write")
    parser.add_argument("--lower", type=int, metavar="N", help="layers of the lower decoder")
    parser.add_argument("--encoder", type=int, metavar="N", help="layers of the chunk encoder")
    parser.add_argument("--lookahead", type=int, metavar="A", help="tokens it sees after a chunk")
    parser.add_argument("--recency", action="store_true", help="let the order of chunks count")
    main(**vars(parser.parse_args()))
