"""What all effects share: who runs on what, the gold margin, and rows of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import DataError
from xlprobe.languages import expand_pairs
from xlprobe.results import Results
from xlprobe.samples import Batch, ParallelSample
from xlprobe.samples.encoding import Encoder

__all__ = ["Rows", "Run", "gold_margins", "outcomes"]

Pairs = str | Sequence[str] | None


def gold_margins(logits: Float[Tensor, "batch label"], labels: Tensor) -> Float[Tensor, " batch"]:
    """Logit of the right label minus the largest of the others, in float64; NaN for a sample without a label.

    Range (-inf, inf): above 0 the answer is right, 0 is undecided.
    """
    logits, labels = logits.double(), labels.to(logits.device)
    known = labels >= 0
    index = labels.clamp_min(0)[:, None]
    gold = logits.gather(1, index)[:, 0]
    others = logits.scatter(1, index, -torch.inf).amax(dim=1)
    return torch.where(known, gold - others, torch.nan)


@dataclass(frozen=True)
class Run:
    """A checkpoint on problems, in pairs of languages, with the in-language reference among them.

    `base` is the language of the reference, which is added where a pair is code-switched.
    """

    checkpoint: Checkpoint
    samples: Sequence[ParallelSample]
    pairs: tuple[tuple[str, str], ...]
    base: str
    batch_size: int
    encoder: Encoder

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        samples: Sequence[ParallelSample],
        pairs: Pairs = None,
        *,
        base: str = "en",
        batch_size: int = 32,
    ) -> Run:
        """Check and expand what is to be run; `pairs` default to base-* and *-base."""
        if not samples:
            raise DataError("got no samples; expected at least one")
        if batch_size < 1:
            raise DataError(f"got batch_size={batch_size}; expected at least 1")
        languages = [code for code in samples[0].languages if all(code in sample.languages for sample in samples)]
        asked = [f"{base}-*", f"*-{base}"] if pairs is None else pairs
        expanded = expand_pairs(asked if isinstance(asked, str) else list(asked), languages)
        if any(first != second for first, second in expanded):
            expanded = [(base, base), *(pair for pair in expanded if pair != (base, base))]
        without = [sample.key for sample in samples if not sample.question]
        if without:
            raise DataError(
                f"the samples {without[:3]} have no question; expected problems of a context and a question"
            )
        if checkpoint.head == "classification":
            checkpoint.check_labels(samples)
        return cls(checkpoint, samples, tuple(expanded), base, batch_size, checkpoint.encoder())

    @property
    def reason(self) -> str | None:
        """Why no effect can be measured on this checkpoint, or None."""
        return None if self.checkpoint.head == "classification" else "no classification head"

    def chunks(self) -> Iterator[list[ParallelSample]]:
        """Yield the problems in batches of similar length; the same for every pair."""
        code = self.base if self.base in self.samples[0].languages else self.samples[0].languages[0]
        ordered = sorted(self.samples, key=lambda sample: self.encoder.length(sample.pair(code, code)))
        for start in range(0, len(ordered), self.batch_size):
            yield ordered[start : start + self.batch_size]

    def batch(self, chunk: Sequence[ParallelSample], pair: tuple[str, str]) -> Batch:
        """Encode problems in one pair of languages, on the checkpoint's device."""
        return self.encoder.encode([sample.pair(*pair) for sample in chunk]).to(self.checkpoint.device)

    def logits(self, batch: Batch) -> Float[Tensor, "batch label"]:
        """Run the checkpoint on a batch."""
        with torch.no_grad():
            logits: Tensor = self.checkpoint.model(**batch.model_inputs(self.checkpoint.is_cross_query)).logits
        return logits

    def margins(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Run the checkpoint on a batch and return the gold margins."""
        return gold_margins(self.logits(batch), batch.labels)

    def rows(self) -> Rows:
        """Return an empty collector of rows of this run."""
        return Rows(self)


@dataclass
class Rows:
    """Collects rows of the table."""

    run: Run
    parts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, values: Any, batch: Batch, *, reason: str | None = None, **columns: Any) -> None:
        """Add one value per sample of a batch; a NaN gets `reason`, by default that the label is unknown."""
        values = np.asarray(torch.as_tensor(values).cpu(), dtype=np.float64)
        reference = f"{self.run.base}-{self.run.base}"
        for value, sample in zip(values, batch.samples, strict=True):
            switched = sample.context_language != sample.question_language
            self.parts.append(
                {
                    "checkpoint": self.run.checkpoint.name,
                    "dataset": sample.dataset,
                    "context_language": sample.context_language,
                    "question_language": sample.question_language,
                    "reference": reference if switched else None,
                    "sample": sample.key,
                    "group": sample.group,
                    "depth": sample.depth,
                    "value": value,
                    "seed": self.run.checkpoint.provenance.get("seed"),
                    "reason": (reason or "no label") if np.isnan(value) else None,
                    **columns,
                }
            )

    def missing(self, metric: str, reason: str) -> Results:
        """Return the table that says why there is no value."""
        import pandas as pd

        row = {"checkpoint": self.run.checkpoint.name, "metric": metric, "value": np.nan, "reason": reason}
        return Results(pd.DataFrame([row]))

    def results(self, **arguments: Any) -> Results:
        """Return the rows as a table; its manifest keeps the arguments and the checkpoint."""
        import pandas as pd

        checkpoint = self.run.checkpoint
        manifest = {
            "arguments": {"pairs": ["-".join(pair) for pair in self.run.pairs], **arguments},
            "checkpoints": {checkpoint.name: {"spec": checkpoint.spec, "sha256": checkpoint.hash}},
        }
        return Results(pd.DataFrame(self.parts), manifest)


def outcomes(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    *,
    pairs: Pairs = None,
    base: str = "en",
    batch_size: int = 32,
) -> Results:
    """Return what the checkpoint answers: `correct` (1 right, 0 wrong) and `gold_margin` per sample.

    The margin is the gold logit minus the largest other one (range (-inf, inf)). NaN without a label, or without a
    classification head, with the reason.
    """
    run = Run.of(checkpoint, samples, pairs, base=base, batch_size=batch_size)
    rows = run.rows()
    if run.reason:
        return rows.missing("correct", run.reason)
    for chunk in run.chunks():
        for pair in run.pairs:
            batch = run.batch(chunk, pair)
            logits = run.logits(batch)
            right = (logits.argmax(dim=1) == batch.labels).double()
            rows.add(torch.where(batch.labels >= 0, right, torch.nan), batch, metric="correct")
            rows.add(gold_margins(logits, batch.labels), batch, metric="gold_margin")
    return rows.results()
