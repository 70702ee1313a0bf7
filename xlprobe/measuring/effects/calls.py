"""Interventions on problems of one's own choice, one call each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import DataError
from xlprobe.measuring.design import Checked, Design, Interventions, check, with_options
from xlprobe.measuring.effects.batch_run import Run, measure_answers, measure_interventions
from xlprobe.measuring.effects.head_effects import checked_patching
from xlprobe.measuring.effects.knock_outs import checked_cuts
from xlprobe.measuring.inputs import problems_of
from xlprobe.metrics.base import get_metric
from xlprobe.results import Results
from xlprobe.results.blocks import RowBuffer

__all__ = ["head_ablation", "head_importance", "knock_out", "outcomes", "patching_recovery"]


def knock_out(checkpoint: Checkpoint, samples: Any, **options: Any) -> Results:
    """Return the change of the gold margin when edges of attention are cut, per sample.

    Rows have the metric `knock_out_effect` and the edges as block ("question->context"; with relays closed, where the
    queries are also kept from special tokens, "question->context, relays closed"). Range (-inf, inf); 0: no effect,
    below 0: the answer needs these edges. `window` cuts in so many layers around each layer in turn (the row's layer is
    the middle one); None, the default, cuts in all layers at once (no layer). Conditions: "observed"; with `control`
    also "control", equally many edges at random, and "net", observed - control. In cross-query models both terms are
    cut. Special tokens are cut only where relays are closed; padding never takes part. NaN without a label. `options`:
    pairs, base, edges, relays, window, control, batch_size, seed. Source: Geva et al. 2023 (arXiv 2304.14767), section
    5."""
    window = options.pop("window", None)
    edges = ("question->context", "context->question", "cls->context", "cls->question")
    given: dict[str, Any] = {"edges": edges, "control": True, **options, "windows": (window,)}
    return _table("knock_out_effect", checkpoint, samples, given)


def head_importance(checkpoint: Checkpoint, samples: Any, **options: Any) -> Results:
    """Return how much the loss depends on each head: |dL/dxi| at xi = 1, xi a factor on the head's output.

    One row per sample, layer and head, metric `head_importance`; average them for Michel et al. 2019 (arXiv
    1905.10650), section 4.1. Range [0, inf), 0: a small change of the head's strength does not move the loss. NaN
    without a label. Special tokens take part, padding does not. `options`: pairs, base.
    """
    return _table("head_importance", checkpoint, samples, options)


def head_ablation(checkpoint: Checkpoint, samples: Any, **options: Any) -> Results:
    """Return the change of the gold margin when one head at a time is replaced by zeros or by its mean output.

    One row per sample and head, metric `ablation_effect`, condition "zero" or "mean". Range (-inf, inf); 0: no effect,
    below 0: the answer needs the head. Means are over all tokens of the reference pair's samples. NaN without a label.
    `options`: pairs, base, kind ("zero" or "mean"), heads ((layer, head) pairs, by default all, one forward pass each),
    batch_size. Source: Michel et al. 2019 (arXiv 1905.10650), section 3.
    """
    return _table("ablation_effect", checkpoint, samples, options)


def patching_recovery(checkpoint: Checkpoint, samples: Any, **options: Any) -> Results:
    """Return how much of the in-language answer comes back when heads' outputs are put into the code-switched run.

    The gold margins are clean (en-en), corrupt (en-X), and patched: the latter run with the former's outputs at [CLS]
    and context positions, for all heads of one layer or one head at a time. Metrics: `patching_gap` clean - corrupt,
    `patching_gain` patched - corrupt, and `patching_recovery`, gain / gap; range (-inf, inf), 0: nothing recovered, 1:
    all. A recovery is NaN where the gap is below `least_gap` (1 logit), and without a label; over problems take the
    ratio of the means of gain and gap. `options`: pairs (with the context in the base language), base, by ("layer" or
    "head"), at, least_gap, batch_size. Source: Vig et al. 2020 (arXiv 2004.12265); Zhang and Nanda 2024 (arXiv
    2309.16042)."""
    return _table("patching_recovery", checkpoint, samples, options)


def outcomes(checkpoint: Checkpoint, samples: Any, **options: Any) -> Results:
    """Return what the checkpoint answers: `correct` (1 right, 0 wrong or undecided) and `gold_margin` per sample.

    NaN without a label, or without a classification head, with the reason. `options`: pairs, base, batch_size.
    """
    return _table("outcomes", checkpoint, samples, options)


_METRICS = {
    "patching_recovery": ("patching_recovery", "patching_gain", "patching_gap"),
    "outcomes": ("correct", "gold_margin"),
}


def _table(what: str, checkpoint: Checkpoint, samples: Any, options: dict[str, Any]) -> Results:
    """Measure one kind of intervention on all problems, and return its rows with the arguments in the manifest."""
    own = ("edges", "relays", "windows", "control", "kind", "heads", "by", "at", "least_gap")
    interventions = with_options(
        Interventions(problems=None, pairs=None), {name: options.pop(name) for name in own if name in options}
    )
    arguments = {key: value for key, value in options.items() if key != "show_progress"}
    design: Design = with_options(Design(interventions=interventions), options)
    names = _METRICS.get(what, (what,))
    if what == "patching_recovery" and design.pairs is None:
        design = with_options(design, {"pairs": f"{design.base or 'en'}-*"})
    checked = check(design, [get_metric(name) for name in names], problems_of(samples))
    run = run_of(checkpoint, checked, checked.pairs)
    if what == "patching_recovery":
        checked_patching(run)
    checked_cuts(interventions)
    if checkpoint.can_answer:
        checkpoint.check_labels(checked.problems)
    buffer = RowBuffer()
    columns: dict[str, Any] = {"checkpoint": checkpoint.name, "seed": checkpoint.provenance.get("seed")}
    if not checkpoint.can_answer:
        buffer.append(np.array([np.nan]), metric=names[0], reason="no classification head", **columns)
    elif what == "outcomes":
        measure_answers(checked.metrics, run, buffer, columns)
    else:
        measure_interventions(checked.metrics, run, buffer, columns)
    shown = {name: getattr(interventions, name) for name in own}
    about = {**shown, **arguments, "pairs": ["-".join(pair) for pair in run.all_pairs], "base": run.base}
    manifest = {
        "arguments": about,
        "checkpoints": {checkpoint.name: {"spec": checkpoint.spec, "sha256": checkpoint.hash}},
    }
    return Results(buffer.table(), manifest)


def run_of(checkpoint: Checkpoint, checked: Checked, pairs: Sequence[tuple[str, str]]) -> Run:
    """Return the run of a checked design, on all its problems."""
    if without := [problem.key for problem in checked.problems if not problem.question]:
        raise DataError(f"the samples {without[:3]} have no question; expected problems of a context and a question")
    design = checked.design
    return Run(checkpoint, checked.problems, pairs, checked.base, design.interventions, design.batch_size, design.seed)
