"""What may explain transfer: `python studies/factors.py runs/grid [CELL ...]` after `xlprobe ablate` (docs/study.md).

Accuracy per language over its pairs with English, and Spearman's rho with one factor at a time: seven languages carry
no more than one, so that of several factors tried the smallest p is no test. Needs the extra `typology`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xlprobe import Results, factors, load
from xlprobe.samples import generate

SEEN = ("en-fr", "en-de", "en-es", "en-ru", "en-ar", "en-zh")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="directory that xlprobe ablate wrote")
    parser.add_argument("cells", nargs="*", default=["baseline", "pre-trained/interfering/dropout-0.7"])
    arguments = parser.parse_args()
    frame = Results.load(arguments.run).select(metric="correct").to_frame()
    accuracy = {cell: factors.per_language(frame, "correct", checkpoint=cell) for cell in arguments.cells}
    languages = list(next(iter(accuracy.values())))
    problems = list(generate(theories=50, languages=("en", *languages), seed=0))
    known = {
        "syntactic distance": factors.typological_distances(languages),
        "genetic distance": factors.typological_distances(languages, kind="genetic"),
        "tokens per word": factors.tokens_per_word(load("bundled:encoder").tokenizer, problems, languages),
        "same script": factors.script_match(languages),
        "seen with Q_cross": factors.seen_in_pretraining(SEEN, languages),
    }
    print("| | " + " | ".join(languages) + " |")
    print("|---|" + "--:|" * len(languages))
    for name, values in {**{f"accuracy, {cell}": found for cell, found in accuracy.items()}, **known}.items():
        print(f"| {name} | " + " | ".join(f"{values[code]:.2f}" for code in languages) + " |")
    print("\n| factor | " + " | ".join(accuracy) + " |")
    print("|---|" + "---|" * len(accuracy))
    for name, values in known.items():
        found = [factors.relate(frame, "correct", {name: values}, checkpoint=cell)[0] for cell in accuracy]
        print(f"| {name} | " + " | ".join(f"rho {one.rho:+.2f}, p {one.p:.3f}" for one in found) + " |")


if __name__ == "__main__":
    main()
