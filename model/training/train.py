"""`hsa-memory train`: one recipe, start to end, interruptible at any step."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..attention import HSALayer
from ..checkpoint import fast_dtype, save_checkpoint
from ..config import HSAConfig
from ..errors import ConfigError
from ..layers import MoE
from ..skeleton import skeleton
from ..tokenizer import Tokenizer
from ..transformer import HSATransformer, Output
from .corpora import build_token_cache
from .dialogue_tasks import DIALOGUES
from .losses import (
    Bank,
    Losses,
    fusion_loss,
    pointer_loss,
    rerank_loss,
    retrieval_loss,
    supervision,
    text_loss,
    value_loss,
)
from .mixture import Mixture, open_passages
from .optimizer import MasterOptimizer, average
from .recipe import Recipe, Stage, load_recipe
from .sharding import sharded_model
from .starting import first_alone, initial_weights, join, run_tokenizer

# Rows of these tasks state facts in everyday words, so two rows may state the same one.
FACT_TASKS = ("dialogue", "changed", *DIALOGUES, "qa", "chat_qa", "history")
METRICS_EVERY = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--config", required=True, help="recipe: a JSON file, or mini")
    parser.add_argument("--data", required=True, help="folder with the .jsonl.xz corpora")
    parser.add_argument("--out", default="runs/mini", help="checkpoints and log; resumes from it")
    parser.add_argument("--init", help="checkpoint folder to start from")
    parser.add_argument("--save-minutes", type=float, default=5.0, help="between checkpoints")
    parser.add_argument("--threads", type=int, help="CPU threads; default all, shared out")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", default="auto", choices=["auto", "bfloat16", "float32"])
    parser.add_argument(
        "--shard",
        action="store_true",
        help="share the model out among torchrun's processes (FSDP2)",
    )


def main(args: argparse.Namespace) -> int:
    """Train until the recipe ends or SIGINT; returns the process's exit code."""
    recipe = load_recipe(args.config)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    device = join(args.device, args.threads, shard=args.shard)
    initial = None
    if args.init:
        initial = first_alone(lambda: initial_weights(args.init, recipe, out))
    tokenizer = first_alone(lambda: run_tokenizer(out, Path(args.data), recipe))
    trainer = Trainer(
        recipe, tokenizer, Path(args.data), out, device, args.dtype, initial, shard=args.shard
    )
    trainer.resume()
    finished = trainer.run(args.save_minutes * 60)
    if dist.is_initialized():
        # The first process writes the checkpoint, the others wait for it.
        dist.barrier()
        dist.destroy_process_group()
    Console(stderr=True).print(
        f"checkpoint of step {trainer.step} in {out}/checkpoint"
        + ("" if finished else "; the same command goes on from there")
    )
    return 0 if finished else 130


class Trainer:
    """Model, optimiser and data of one run; `step` says how far it is."""

    def __init__(
        self,
        recipe: Recipe,
        tokenizer: Tokenizer,
        data: Path,
        out: Path,
        device: str = "cpu",
        dtype: str = "auto",
        initial: dict[str, Tensor] | None = None,
        *,
        shard: bool = False,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.tokenizer, self.out = recipe, tokenizer, out
        self.device = torch.device(device)
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.workers = dist.get_world_size() if dist.is_initialized() else 1
        for number, stage in enumerate(recipe.stages):
            if stage.batch % self.workers:
                raise ConfigError(
                    f"stage {number} has batches of {stage.batch}: not a multiple of the "
                    f"{self.workers} processes; start fewer, or change the batch"
                )
        number_format = fast_dtype(device) if dtype == "auto" else getattr(torch, dtype)
        if shard:
            self.model = sharded_model(recipe.model, self.device, number_format, initial)
        else:
            model = HSATransformer(recipe.model)
            if initial is not None:
                model.load_state_dict(initial)
            self.model = model.to(self.device, number_format)
        self.optimizer = MasterOptimizer(self.model, weight_decay=recipe.weight_decay)
        self.step = 0
        self.tokens = 0
        self._bank = Bank.empty(recipe.model)
        self._corpora = first_alone(
            lambda: build_token_cache(
                data, out / "tokens", tokenizer, max_tokens=recipe.tokens_per_source,
                exclude=recipe.exclude,
            )
        )  # fmt: skip
        self._passages = open_passages(data)

    def run(self, save_seconds: float) -> bool:
        """Train to the end of the recipe (True) or to an interrupt (False); saves either way."""
        self._interrupted = False
        before = signal.signal(signal.SIGINT, self._interrupt)
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[metrics]}"),
        )  # fmt: skip
        try:
            with Progress(*columns, console=Console(stderr=True)) as progress:
                task = progress.add_task(
                    "train", total=self.recipe.steps, completed=self.step, metrics=""
                )
                self._loop(save_seconds, lambda text: progress.update(
                    task, completed=self.step, metrics=text))  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)
        self.save()
        return not self._interrupted

    def _loop(self, save_seconds: float, show: Any) -> None:
        saved = started = time.monotonic()
        sums: dict[str, list[float]] = {}
        with ThreadPoolExecutor(1) as loader:
            batch = loader.submit(self._batch, self.step)
            while self.step < self.recipe.steps and not self._stopped():
                ready, batch = batch, loader.submit(self._batch, self.step + 1)
                metrics = self.train_step(*ready.result())
                for name, value in metrics.items():
                    if not math.isnan(value):
                        sums.setdefault(name, []).append(value)
                if self.step % METRICS_EVERY == 0:
                    seconds, started = time.monotonic() - started, time.monotonic()
                    show(self._log(sums, seconds))
                    sums = {}
                # Each has a clock of its own, but all save at the same step.
                if self._any(self.rank == 0 and time.monotonic() - saved > save_seconds):
                    self.save()
                    saved = time.monotonic()
            batch.cancel()

    def train_step(
        self, tokens: Tensor, weight: Tensor, source: Tensor, unique: Tensor, shares_facts: Tensor
    ) -> dict[str, float]:
        """One optimiser step on tokens [B, L + 1], weight, source and unique [B, L], shares_facts
        [B]; returns metrics."""
        stage, _, _ = self.recipe.locate(self.step)
        # Chance in a step depends on the step alone, so that a resumed run repeats it.
        torch.manual_seed((self.recipe.seed << 40) + self.step * self.workers + self.rank)
        self._set_top_k(stage)
        self.model.train()
        # Plain text teaches less per token than answers do: its logits are sampled.
        sampled = torch.rand(weight.shape, device=weight.device) < stage.text_sample
        select = (weight > 0) & (sampled | (source >= 0) | (weight > 1))
        first = stage.length - stage.questions if stage.questions else 0
        select[:, :first] = False
        state = self.model.ingest(tokens[:, :first]) if first else None
        output: Output = self.model(tokens[:, first:-1], state, select=select[:, first:])
        losses = self._losses(output, tokens, weight, source, shares_facts, select, stage, first)
        total = losses.text + stage.value_weight * losses.value
        if not losses.retrieval.isnan():
            total = total + stage.retrieval_weight * losses.retrieval
            total = total + stage.pointer_weight * losses.pointer
        if not losses.rerank.isnan():
            total = total + stage.rerank_weight * losses.rerank
        if not losses.fusion.isnan():
            total = total + stage.fusion_weight * losses.fusion
        total.backward()
        norm = self.optimizer.step(self.recipe.learning_rate(self.step))
        mixtures = [module for module in self.model.modules() if isinstance(module, MoE)]
        if mixtures:
            average([mixture.load for mixture in mixtures], total=True)
        loads = [mixture.update_bias() for mixture in mixtures]
        uneven = [float(load.max() * len(load) / load.sum()) for load in loads]
        self._remember(output, unique, shares_facts, stage)
        self.step += 1
        self.tokens += weight.numel() * self.workers
        return {
            **{name: float(value.detach()) for name, value in losses._asdict().items()},
            "norm": norm,
            "expert_load": sum(uneven) / len(uneven) if uneven else math.nan,
        }

    def _losses(
        self, output: Output, tokens: Tensor, weight: Tensor, source: Tensor,
        shares_facts: Tensor, select: Tensor, stage: Stage, first: int,
    ) -> Losses:  # fmt: skip
        nan = torch.tensor(float("nan"))
        targets, memory = tokens[:, 1:], output.state.memory
        text = text_loss(output.logits, targets[select], weight[select])
        config, value = self.recipe.model, text.new_zeros(())
        if stage.value_weight and config.num_groups:
            value = value_loss(self.model, memory, tokens)
        where = supervision(
            source, config.chunk_size, lookahead=config.encoder_lookahead, first=first
        )
        if len(where.row) == 0 or not config.num_groups:
            return Losses(text, nan, nan, nan, nan, value, nan, nan, nan, nan, nan)
        bank = self._bank.first(stage.bank)
        retrieval, found = retrieval_loss(output.traces, memory, where, shares_facts, bank)
        rerank, reranked = nan, nan
        if stage.rerank_weight:
            rerank, reranked = rerank_loss(
                self.model, output.traces, memory, where, shares_facts, bank
            )
        fusion, fused = nan, nan
        if stage.fusion_weight:
            fusion, fused = fusion_loss(output.traces, memory, where)
        pointer, pointed = pointer_loss(output.traces, memory, where)
        with torch.no_grad():
            right = (output.logits.argmax(-1) == targets[select])[source[select] >= 0]
        answered = right.float().mean()
        return Losses(
            text, retrieval, rerank, fusion, pointer, value,
            answered, found, reranked, fused, pointed,
        )  # fmt: skip

    def _remember(self, output: Output, unique: Tensor, shares_facts: Tensor, stage: Stage) -> None:
        """Keep chunks that state no everyday facts as distractors for later batches."""
        if stage.bank and output.state.memory.landmarks.shape[1]:
            memory, config = output.state.memory, self.recipe.model
            # What a chunk has looked ahead at counts as well.
            needed = unique[:, : config.num_tokens(memory.landmarks.shape[1])]
            whole = needed.unfold(
                1, config.chunk_size + config.encoder_lookahead, config.chunk_size
            )
            chosen = whole.all(2) | ~shares_facts[:, None]
            self._bank = self._bank.with_newer(memory, chosen).first(stage.bank)

    def _set_top_k(self, stage: Stage) -> None:
        config = replace(self.recipe.model, top_k=stage.top_k or self.recipe.model.top_k)
        for layer in self.model.upper.hsa:
            cast(HSALayer, layer).config = config

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Data of a step: a pure function of the recipe and the step."""
        stage, number, done = self.recipe.locate(step)
        mixture = self._mixture(stage, number)
        # With several processes (torchrun) each takes an equal run of the step's sequences.
        rows, rank = stage.batch // self.workers, self.rank
        arrays = mixture.batch(done * self.workers + rank, rows)
        first = (done * self.workers + rank) * rows
        facts = [mixture.task(i) in FACT_TASKS for i in range(first, first + rows)]
        tokens, *rest = (torch.from_numpy(array).to(self.device) for array in arrays)
        weight, source, unique = rest
        return tokens.long(), weight, source, unique, torch.tensor(facts, device=self.device)

    def _mixture(self, stage: Stage, number: int) -> Mixture:
        if getattr(self, "_mixture_number", None) != number:
            self._mixture_number = number
            self._current = Mixture(
                stage.shares, self._corpora, self.tokenizer, stage.length,
                seed=self.recipe.seed * 1000 + number, passages=self._passages,
                questions=stage.questions or None,
            )  # fmt: skip
        return self._current

    def _log(self, sums: dict[str, list[float]], seconds: float) -> str:
        stage, number, _ = self.recipe.locate(self.step)
        means = {name: round(sum(v) / len(v), 4) for name, v in sums.items()}
        speed = METRICS_EVERY * stage.length * stage.batch / seconds
        record = {
            "step": self.step, "stage": number, "tokens": self.tokens, **means,
            "tokens_per_second": round(speed), "time": round(time.time()),
        }  # fmt: skip
        if self.rank == 0:
            with (self.out / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        return (
            f"loss {means.get('text', math.nan):.3f} "
            f"answers {means.get('answer_accuracy', math.nan):.2f} "
            f"retrieval {means.get('retrieval_accuracy', math.nan):.2f} "
            f"pointer {means.get('pointer_accuracy', math.nan):.2f} {speed:.0f} tokens/s"
        )

    def save(self) -> None:
        """Write model, optimiser and position; the previous checkpoint goes once it is there."""
        stored = self.optimizer.tensors()
        if self.rank:
            return
        staged, final, old = (
            self.out / n for n in ("checkpoint.new", "checkpoint", "checkpoint.old")
        )
        shutil.rmtree(staged, ignore_errors=True)
        # The masters keep every bit; what is shipped and evaluated is rounded to bfloat16.
        masters = {
            name: stored.get(f"{name}:master", t) for name, t in self.model.state_dict().items()
        }
        model = skeleton(self.recipe.model)
        model.load_state_dict(masters, assign=True)
        save_checkpoint(staged, model, self.tokenizer, dtype=torch.bfloat16)
        tensors = {name: t.contiguous() for name, t in stored.items()}
        tensors |= {f"bank.{name}": x.contiguous() for name, x in self._bank._asdict().items()}
        tensors |= dict(self.model.named_buffers())
        save_file(tensors, staged / "training.safetensors")
        position = {"step": self.step, "tokens": self.tokens}
        (staged / "training.json").write_text(json.dumps(position), encoding="utf-8")
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            final.rename(old)
        staged.rename(final)

    def resume(self) -> None:
        """Go on from the newest complete checkpoint in the output folder, if there is one."""
        for folder in (self.out / "checkpoint", self.out / "checkpoint.old"):
            if (folder / "training.json").exists():
                config = (folder / "config.json").read_text(encoding="utf-8")
                if HSAConfig.from_json(config) != self.recipe.model:
                    raise ConfigError(
                        f"{folder} is of another model than the recipe's: name another folder with "
                        "--out, or use the recipe it was begun with"
                    )
                stored = load_file(folder / "training.safetensors")
                self._bank = Bank(*(stored.pop(f"bank.{name}") for name in Bank._fields))
                for name, buffer in self.model.named_buffers():
                    buffer.copy_(stored.pop(name))
                self.optimizer.load(stored)
                position = json.loads((folder / "training.json").read_text(encoding="utf-8"))
                self.step, self.tokens = position["step"], position["tokens"]
                return

    def _stopped(self) -> bool:
        """Whether any process was interrupted: all must leave the loop at the same step."""
        anyone = self._any(self._interrupted)
        # An interrupt of this very moment stays set, and is heard at the next step.
        self._interrupted |= anyone
        return anyone

    def _any(self, here: bool) -> bool:
        """Whether it is so in any process; all ask at the same step."""
        anyone = torch.tensor([float(here)], device=self.device)
        average([anyone], total=True)
        return bool(anyone)

    def _interrupt(self, *_: object) -> None:
        self._interrupted = True
