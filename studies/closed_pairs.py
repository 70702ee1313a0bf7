"""What does a baseline answer with attention between the languages closed, as structured dropout does in training?

`python studies/closed_pairs.py RUN... --data DIRECTORY`. Questions about a context in another language are answered
with each pair of tokens of two languages closed with several probabilities, so that a model that was trained so can be
asked under the masks that it knows, and not only with all open, as models are asked otherwise. A RUN is a directory or
an archive of `xlprobe study run`. Prints one row per run and probability, with intervals over theories (docs/study.md).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from xlprobe import Checkpoint, load
from xlprobe.samples.types import ParallelSample
from xlprobe.statistics import summarise
from xlprobe.training import read_recipe
from xlprobe.training.archives import unpack_archive
from xlprobe.training.collation import Classification
from xlprobe.training.sources import samples_of

BATCH = 32


def read(run: Path) -> Checkpoint:
    """Return the checkpoint of a run's directory or archive, named after it."""
    if run.suffix != ".zip":
        return load(str(run), name=run.name)
    with tempfile.TemporaryDirectory() as place:
        return load(str(unpack_archive(run, Path(place))), name=run.stem)


def answers(
    checkpoint: Checkpoint, problems: Sequence[ParallelSample], pair: tuple[str, str], closed: float, seed: int
) -> pd.DataFrame:
    """Return which problems are answered rightly with each pair of tokens of two languages closed so probably."""
    collate = Classification(checkpoint.encoder(), False, closed, seed)
    rows = []
    for start in range(0, len(problems), BATCH):
        batch = problems[start : start + BATCH]
        inputs = collate([(start + place, problem.pair(*pair)) for place, problem in enumerate(batch)])
        labels = inputs.pop("labels")
        with torch.inference_mode():
            right = checkpoint.model.eval()(**inputs).logits.argmax(dim=-1) == labels
        rows += [(problem.key, problem.group, float(one)) for problem, one in zip(batch, right, strict=True)]
    frame = pd.DataFrame(rows, columns=["sample", "group", "value"])
    return frame.assign(checkpoint=checkpoint.name, closed=closed, metric="correct")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="directory that the recipe's paths are in")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/bundled_short.toml"), help="of the problems")
    parser.add_argument("--pair", default="en-fr")
    parser.add_argument("--closed", type=float, nargs="+", default=[0.0, 0.7, 1.0])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    source = read_recipe(given.recipe).evaluation
    assert source is not None
    problems = samples_of(source.source, source.options, given.data)
    context, question = given.pair.split("-")
    for run in given.runs:
        checkpoint = read(run)
        rows = [answers(checkpoint, problems, (context, question), closed, given.seed) for closed in given.closed]
        table = summarise(pd.concat(rows, ignore_index=True), ["checkpoint", "closed"])
        print(table.round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
