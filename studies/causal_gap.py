"""The English-French gap of a causal model's attention: prints the table of docs/causal_gap.md.

python studies/causal_gap.py MODEL.gguf [--theories 12] [--out DIRECTORY]

What the question's tokens attend to in the English context, by whether the question is English or French: stability of
question->context against the English question (observed) less that against another English question (floor), and lift
in (en, fr) less lift in (en, en), each the mean over heads and layers of a third of the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from xlprobe import load, measure
from xlprobe.samples import SMALL, generate
from xlprobe.statistics import contrast, proportion_interval

METRICS = ["js_stability", "mass_lift", "sink_mass", "gold_margin", "correct"]


def by_theory(frame: pd.DataFrame, **chosen: object) -> pd.Series:
    """Means over layers, heads and questions of each theory."""
    for column, value in chosen.items():
        frame = frame[frame[column] == value]
    return frame.groupby("group", observed=True).value.mean()


def rows(frame: pd.DataFrame, layers: int) -> list[tuple[str, str, pd.Series]]:
    """What is told, of which layers, and its value in each theory."""
    found: list[tuple[str, str, pd.Series]] = []
    asked = frame[frame.block == "question->context"]
    for third in range(3):
        first, last = third * layers // 3, (third + 1) * layers // 3 - 1
        here = asked[asked.layer.between(first, last)]
        stable = here[(here.metric == "js_stability") & (here.pooling == "token")]
        observed = by_theory(stable, condition="observed", question_language="fr", reference="en-en")
        floor = by_theory(stable, condition="floor", question_language="en")
        lift = here[here.metric == "mass_lift"]
        gap = by_theory(lift, question_language="fr") - by_theory(lift, question_language="en")
        name = f"{first} to {last}"
        found += [
            ("stability, another language", name, observed),
            ("stability, another question (floor)", name, floor),
            ("above floor", name, observed - floor),
            ("lift of (en, fr) less lift of (en, en)", name, gap),
        ]
    for metric in ("correct", "gold_margin"):
        for code in ("en", "fr"):
            found.append((f"{metric}, question in {code}", "", by_theory(frame, metric=metric, question_language=code)))
    return found


def main() -> None:
    """Measure, and print one line for each value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--theories", type=int, default=60)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    checkpoint = load(options.model)
    problems = generate(options.theories, languages=("en", "fr"), seed=0, split="test", **SMALL)
    frame = measure(checkpoint, problems, pairs="en-fr", metrics=METRICS, batch_size=8, out=options.out).to_frame()
    print(f"{len(problems)} problems of {options.theories} theories; n is theories, intervals are 95 %\n")
    print("| what | layers | mean | interval | n |")
    print("|---|---|--:|--:|--:|")
    for what, layers, values in rows(frame, checkpoint.num_layers):
        values = values.dropna()
        between = proportion_interval if what.startswith("correct") else contrast
        found = between(values.to_numpy(), groups=list(values.index))
        low, high = float(found.low[0]), float(found.high[0])
        print(f"| {what} | {layers} | {values.mean():.3f} | [{low:.3f}, {high:.3f}] | {len(values)} |")


if __name__ == "__main__":
    main()
