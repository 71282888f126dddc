"""The short table of a run: what was aimed at, and what came out. Nothing here needs a GPU."""

from __future__ import annotations

import math
from typing import Any

Row = dict[str, Any]
Lines = list[tuple[str, str]]

# What the project wants of its kernels.
MOST_FLOORS = 2.0
MOST_STEP_SECONDS = 30e-6
STEP_TOKENS = 1 << 20
LONGEST_CROSSOVER = 1 << 13
MOST_BACKWARDS = 3.0
FLASH = "SDPA FLASH_ATTENTION"
CUDNN = "SDPA CUDNN_ATTENTION"


def table(figures: dict[str, Any]) -> Lines:
    """Everything short enough to print, what matters most at the end: there a terminal stops."""
    lines: Lines = []
    lines += _checks([*figures.get("checks", ()), *figures.get("far", ())])
    for row in [*figures.get("attention", ()), *figures.get("long", ())]:
        lines.append((f"chunk attention {sizes(row)}", _beside_floor(row)))
    for row in figures.get("scores", ()):
        lines.append((f"chunk scores {sizes(row)}", _beside_floor(row)))
    for row in figures.get("decode", ()):
        lines.append(
            (
                f"decode step {sizes(row)}",
                f"{_us(row['step'])}, cold {_us(row['cold_step'])}; search {_us(row['search'])}, "
                f"attention {_us(row['attention'])}"
                + (f"; int8 search, cold, {_us(int8)}" if (int8 := row.get("int8_search")) else ""),
            )
        )
    for row in figures.get("search", ()):
        lines.append(
            (
                f"search {sizes(row)}",
                f"{_ms(row['ours']['forward'])} (int8 {_ms(row['int8'])}), backward "
                f"{_ms(row['ours']['backward'])}",
            )
        )
    lines += _windows(figures.get("window", ())) + _others(figures) + _conditions(figures)
    lines += targets(figures)
    if "wrong" in figures:
        lines.append(("WRONG RESULT", figures["wrong"]))
    return lines


def targets(figures: dict[str, Any]) -> Lines:
    """PASS or MISS for each, over all sizes; PARTLY where all that were measured pass."""
    said = {name: _verdict(*found) for name, found in _aims(figures).items()}
    if "wrong" in figures:
        said = dict.fromkeys(said, "no verdict: a result is wrong")
    elif str(figures.get("device", "")).startswith("Triton's interpreter"):
        said = dict.fromkeys(said, "not measured: no GPU")
    return [(f"TARGET {name}", text) for name, text in said.items()]


def _aims(figures: dict[str, Any]) -> dict[str, tuple[list[tuple[str, float]], bool, float, str]]:
    """For each target: what was measured, whether that is all, the most allowed, how to print."""

    def whole(*parts: str) -> bool:
        missing = [
            figures.get(name, {}).get(part) for name in ("failed", "left_out") for part in parts
        ]
        return not any(missing)

    rows = [*figures.get("attention", ()), *figures.get("long", ())]
    floors = [(sizes(r), r["ours"]["forward"] / r["bytes_floor"]) for r in rows]
    back = [
        (sizes(r), r["ours"]["backward"] / r["ours"]["forward"])
        for r in rows
        if r["ours"]["backward"] is not None
    ]
    decodes = [r for r in figures.get("decode", ()) if r["tokens"] == STEP_TOKENS]
    crossing = figures.get("crossover", [])
    meets: list[tuple[str, float]] = []
    for name, length in crossovers(crossing, FLASH).items():
        meets.append((name, float("inf") if length is None else float(length)))
    short = any(row["tokens"] == LONGEST_CROSSOVER for row in crossing)
    step, most = "decode step at 1M tokens under 30 us", 1e6 * MOST_STEP_SECONDS
    warm, cold = (
        ([(sizes(r), 1e6 * r[key]) for r in decodes], whole("decode"), most, "{:.1f}")
        for key in ("step", "cold_step")
    )
    attended = whole("attention", "long")
    return {
        "forward at most 2 traffic floors": (floors, attended, MOST_FLOORS, "{:.2f}"),
        step: warm,
        f"{step}, caches cold": cold,
        "FlashAttention met by 8K tokens": (
            meets if short else [], whole("crossover"), LONGEST_CROSSOVER, "{:,.0f}",
        ),
        "backward at most 3 forwards": (
            back, attended and len(back) == len(rows), MOST_BACKWARDS, "{:.2f}",
        ),
    }  # fmt: skip


def _verdict(found: list[tuple[str, float]], whole: bool, most: float, form: str) -> str:
    if not found:
        return "not measured"
    good = [value for _, value in found if value <= most]
    worst = max(found, key=lambda each: _badness(each[1]))
    verdict = "MISS" if len(good) < len(found) else "PASS" if whole else "PARTLY"
    best = min((value for _, value in found), key=_badness)
    return (
        f"{verdict}: {len(good)} of {len(found)}; worst {_number(form, worst[1])} at {worst[0]}, "
        f"best {_number(form, best)}"
    )


def _badness(value: float) -> float:
    """What is no number is worse than all that are."""
    return float("inf") if math.isnan(value) else value


def _number(form: str, value: float) -> str:
    return "never" if value == float("inf") else form.format(value)


def crossovers(rows: list[Row], theirs: str) -> dict[str, int | None]:
    """The length from which on both directions of search and chunk attention together take no
    longer than both directions of full attention, for each shape; None: no length measured."""
    shapes: dict[str, list[tuple[int, bool]]] = {}
    for row in rows:
        full = both_ways(row.get(theirs))
        for top_k, ours in row["ours"].items():
            mine = both_ways(ours)
            if full is not None and mine is not None:
                key = f"k {top_k} D {row['dim']} H {row['groups']}"
                shapes.setdefault(key, []).append((row["tokens"], mine <= full))
    met: dict[str, int | None] = {}
    for key, found in shapes.items():
        met[key] = None
        for tokens, soon_enough in sorted(found, reverse=True):
            if not soon_enough:
                break
            met[key] = tokens
    return met


def both_ways(row: Row | None) -> float | None:
    """Seconds of forward and backward; None where one is missing."""
    if row is None or row.get("forward") is None or row.get("backward") is None:
        return None
    return float(row["forward"] + row["backward"])


def sizes(row: Row) -> str:
    """The sizes of a case in a few letters."""
    return f"L {row['tokens']:,} k {row['top_k']} D {row['dim']} H {row['groups']}"


def _conditions(figures: dict[str, Any]) -> Lines:
    """What the figures hold for."""
    lines: Lines = []
    names = ("driver", "cuda", "cudnn", "torch", "triton", "commit")
    if versions := [f"{name} {figures[name]}" for name in names if figures.get(name)]:
        lines.append(("versions", ", ".join(versions)))
    if figures.get("changed_files"):
        lines.append(("files changed since that commit", str(figures["changed_files"])))
    if "rates" in figures:
        lines.append(("copy", f"{figures['rates']['bytes_per_second'] / 1e12:.2f} TB/s"))
        lines.append(("product", f"{figures['rates']['flops'] / 1e12:.0f} TFLOP/s"))
    return lines


def _checks(rows: list[Row]) -> Lines:
    """The largest error of each kind of number, and how many landmark searches were right."""
    worst: dict[str, tuple[float, str]] = {}
    searches = 0
    for row in rows:
        searches += "missed" in row
        for name, value in row.get("errors", {}).items():
            before = worst.get(row["dtype"], (-1.0, ""))[0]
            if _badness(value) > _badness(before):
                worst[row["dtype"]] = value, f"{name}, {row['what']}"
    lines = [
        (f"largest error in {dtype}", f"{value:.1e} ({where})")
        for dtype, (value, where) in worst.items()
    ]
    return [*lines, ("searches checked", str(searches))] if rows else []


def _beside_floor(row: Row) -> str:
    ours = row["ours"]
    back = ours["backward"]
    backward = "has no room" if back is None else f"{back / ours['forward']:.1f} times"
    return (
        f"{_ms(ours['forward'])}, {ours['forward'] / row['bytes_floor']:.2f} of its traffic "
        f"floor; backward {backward}"
    )


def _windows(rows: list[Row]) -> Lines:
    return [
        (
            f"sliding window {row['window']} of {row['tokens']:,} tokens, {name}",
            f"forward {_ms(form['forward'])}, backward {_ms(form['backward'])}"
            + (f", one token {_us(form['token'])}" if "token" in form else "")
            if "failed" not in form
            else f"failed: {form['failed'][:60]}",
        )
        for row in rows
        for name, form in row["forms"].items()
    ]


def _others(figures: dict[str, Any]) -> Lines:
    """Crossovers by shape, FlexAttention, the whole model, and what is missing."""
    lines: Lines = []
    for theirs in (FLASH, CUDNN):
        for key, length in crossovers(figures.get("crossover", []), theirs).items():
            met = "at no length" if length is None else f"from {length:,} tokens on"
            lines.append((f"no slower than {theirs}, {key}", met))
    for row in figures.get("flex", ()):
        theirs = row.get("FlexAttention", {})
        if both_ways(theirs) is not None:
            text = f"{_ms(theirs['forward'])}, backward {_ms(theirs['backward'])}"
            lines.append((f"FlexAttention, all of {row['tokens']:,} tokens", text))
    for row in figures.get("model", ()):
        speeds = (
            f"{kind} {row[f'{kind}_tokens_per_second']:,.0f}"
            for kind in ("ingest", "prefill", "decode")
        )
        lines.append(
            (f"{row['preset']} at {row['tokens']:,} tokens", ", ".join(speeds) + " tokens/s")
        )
    for name in ("failed", "left_out"):
        for part, each in figures.get(name, {}).items():
            if each:
                text = f"{len(each)}: {each[0]}" + (" ..." if len(each) > 1 else "")
                lines.append((f"{name.replace('_', ' ')}, {part}", text))
    return lines


def _us(seconds: float | None) -> str:
    return "no room" if seconds is None else f"{1e6 * seconds:.1f} us"


def _ms(seconds: float | None) -> str:
    return "no room" if seconds is None else f"{1e3 * seconds:.2f} ms"
