"""Does it matter for the answer that a head's attention is unstable?

`python studies/least_stable_heads.py SPEC... --data DIRECTORY`. Heads are ranked by stability above floor on one half
of the theories; the least stable ones are replaced by their mean output, and the other half is answered again, in
pairs of two languages and in one. As many heads of the same layers, drawn several times, say what any heads cost: a
difference between the two is not one of layers. Prints one row per checkpoint, share of the heads and kind of pairs,
with intervals over theories: each checkpoint's when it is done, and at the end those of each model's runs together (see
docs/study.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xlprobe import Checkpoint, load, measure
from xlprobe.interventions import Ablate, head_means
from xlprobe.report.measuring import spread
from xlprobe.samples.encoding import batches
from xlprobe.samples.types import ParallelSample
from xlprobe.statistics import above_floor, summarise
from xlprobe.statistics.pairing import switched
from xlprobe.training import evaluate, read_recipe
from xlprobe.training.sources import samples_of

PAIRS = "en-fr, en-de, en-zh, fr-en, de-en, zh-en"
OWN = "en-en, fr-fr, de-de, zh-zh"
Heads = list[tuple[int, int]]


@dataclass(frozen=True)
class Halves:
    """Problems to choose heads by, and problems to ask; no theory is in both."""

    choosing: list[ParallelSample]
    asked: list[ParallelSample]


def halves(problems: Sequence[ParallelSample]) -> Halves:
    """Split problems by theory."""
    groups = list(dict.fromkeys(problem.group for problem in problems))
    first = set(groups[::2])
    return Halves([p for p in problems if p.group in first], [p for p in problems if p.group not in first])


def least_stable(checkpoint: Checkpoint, problems: Sequence[ParallelSample], count: int) -> Heads:
    """Return the heads with the least stability above floor, over all pairs and blocks of tokens."""
    results = measure(checkpoint, problems, pairs=PAIRS, base="en", metrics=["js_stability"], show_progress=False)
    rows = above_floor(results.to_frame())
    rows = rows[(rows["condition"] == "observed") & (rows["pooling"] == "token") & rows["head"].notna()]
    by_head = rows.groupby(["layer", "head"], observed=True)["value"].mean().sort_values()
    return [(int(layer), int(head)) for layer, head in by_head.index[:count]]


def of_the_same_layers(heads: Heads, per_layer: int, draws: int, seed: int) -> Iterator[Heads]:
    """Yield as many other heads of each layer as were chosen there (any, where most of a layer was)."""
    random = np.random.default_rng(seed)
    layers, counts = np.unique([layer for layer, _ in heads], return_counts=True)
    for _ in range(draws):
        drawn: Heads = []
        for layer, count in zip(layers, counts, strict=True):
            others = [head for head in range(per_layer) if (layer, head) not in heads]
            pool = others if len(others) >= count else list(range(per_layer))
            drawn += [(int(layer), int(head)) for head in random.choice(pool, count, replace=False)]
        yield drawn


def margins(checkpoint: Checkpoint, problems: Sequence[ParallelSample], heads: Heads, means: object) -> pd.DataFrame:
    """Return correctness and gold margin of each problem and pair with these heads replaced by their means."""
    with Ablate(checkpoint.model, heads, "mean", means):  # type: ignore[arg-type]
        return evaluate(checkpoint, problems, pairs=f"{PAIRS}, {OWN}").to_frame()


def study(checkpoint: Checkpoint, problems: Halves, shares: Sequence[float], draws: int, seed: int) -> pd.DataFrame:
    """Return the change that taking the least stable heads away makes, beside that of random ones of their layers."""
    config = checkpoint.model.config
    per_layer, layers = config.num_attention_heads, config.num_hidden_layers
    ranked = least_stable(checkpoint, problems.choosing, per_layer * layers)
    chosen = [sample.pair("en", "en") for sample in problems.choosing]
    encoded = (batch.to(checkpoint.device) for batch in batches(chosen, checkpoint.encoder(), 32))
    means = head_means(checkpoint.model, encoded)
    keys = ["sample", "group", "context_language", "question_language", "metric"]
    whole = margins(checkpoint, problems.asked, [], means).set_index(keys)["value"]
    parts: list[pd.DataFrame] = []
    for share in shares:
        heads = ranked[: round(share * per_layer * layers)]
        least = margins(checkpoint, problems.asked, heads, means).set_index(keys)["value"]
        drawn = [
            margins(checkpoint, problems.asked, some, means).set_index(keys)["value"]
            for some in of_the_same_layers(heads, per_layer, draws, seed)
        ]
        others = sum(drawn[1:], start=drawn[0]) / len(drawn)
        changes = {"least stable": least - whole, "random": others - whole, "least stable - random": least - others}
        parts += [
            change.rename("value").reset_index().assign(heads=len(heads), what=name) for name, change in changes.items()
        ]
    found = pd.concat(parts, ignore_index=True)
    # A change of what is right or wrong is no share, and has no share's interval.
    return found.assign(
        checkpoint=checkpoint.name,
        seed=checkpoint.provenance.get("seed"),
        languages=np.where(switched(found), "two", "one"),
        metric="change of " + found["metric"].astype(str),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="directory that the recipe's paths are in")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/bundled_short.toml"), help="of the problems")
    parser.add_argument("--limit", type=int, default=160)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.25])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="csv of the rows")
    given = parser.parse_args()
    source = read_recipe(given.recipe).evaluation
    assert source is not None
    found = samples_of(source.source, {**source.options, "limit": None}, given.data)
    problems = halves(spread(found, given.limit))
    rows: list[pd.DataFrame] = []
    for spec in given.checkpoints:
        rows.append(study(load(spec), problems, given.shares, given.draws, given.seed))
        show(rows[-1], spec)
    table = show(pd.concat(rows, ignore_index=True), "all")
    if given.out is not None:
        table.to_csv(given.out, index=False)


def show(rows: pd.DataFrame, title: str) -> pd.DataFrame:
    """Print and return the means and intervals of rows."""
    table = summarise(rows, ["checkpoint", "heads", "languages", "metric", "what"])
    print(title, table.round(3).to_string(index=False), sep="\n", flush=True)
    return table


if __name__ == "__main__":
    main()
