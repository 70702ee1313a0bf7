"""From checkpoints and parallel problems to the table of results, in one streaming pass per checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.loading import load
from xlprobe.errors import DataError
from xlprobe.languages import expand_pairs
from xlprobe.measuring.attention import ATTENTION_METRICS, SHARES, AttentionReducer, OutputReducer
from xlprobe.measuring.head_structure import HEAD_METRICS, HeadStructureReducer
from xlprobe.measuring.instability import InstabilityMeans
from xlprobe.measuring.manifest import manifest_of
from xlprobe.measuring.neutrality import NEUTRALITY_METRICS, measure_neutrality
from xlprobe.measuring.patterns import KeptPattern, PatternReducer
from xlprobe.measuring.plan import ProblemPlan, paired_batches, plan, plan_shards
from xlprobe.measuring.sentences import evenly, sentence_vectors, sentences_of
from xlprobe.measuring.shards import SHARD_BATCHES, Shards
from xlprobe.measuring.stream import capture
from xlprobe.metrics import SIMILARITIES
from xlprobe.progress import progress
from xlprobe.results import Results, ResultsWriter
from xlprobe.samples.encoding import Encoder
from xlprobe.samples.types import ParallelSample
from xlprobe.statistics import LEAST_GAP

__all__ = ["DEFAULT_METRICS", "METRICS", "Measurement", "measure"]

OUTPUT_METRICS = ("correct", "gold_margin")
METRICS: tuple[str, ...] = (
    *ATTENTION_METRICS, "instability", *HEAD_METRICS, *OUTPUT_METRICS, *NEUTRALITY_METRICS,
)  # fmt: skip
"""Every metric that `measure` knows."""

_EXTRA = {*SIMILARITIES[1:], *HEAD_METRICS}
DEFAULT_METRICS: tuple[str, ...] = tuple(n for n in METRICS if n not in _EXTRA and not n.startswith("norm_"))
"""What `measure(metrics="default")` computes: all but robustness set, head structure and norm-weighted metrics."""


@dataclass(frozen=True)
class Measurement:
    """The options of `measure`, checked and expanded."""

    pairs: tuple[tuple[str, str], ...]
    metrics: tuple[str, ...]
    base: str = "en"
    controls: bool = True
    forced: bool = True
    keep_patterns: frozenset[str] = frozenset()
    batch_size: int = 32
    too_long: str = "error"
    max_sentences: int = 500
    seed: int = 0
    show_progress: bool = True
    left_out: dict[str, Any] = field(default_factory=dict)

    def languages_of(self) -> tuple[str, ...]:
        """Return the languages that take part, the base first."""
        return tuple(dict.fromkeys([self.base, *(code for pair in self.pairs for code in pair)]))

    def wants(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that were asked for."""
        return [name for name in names if name in self.metrics]


def measure(
    checkpoints: Checkpoint | str | Sequence[Checkpoint | str],
    samples: Sequence[ParallelSample],
    *,
    pairs: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] = "default",
    base: str = "en",
    controls: bool = True,
    forced: bool = True,
    keep_patterns: Sequence[str] = (),
    out: str | Path | None = None,
    batch_size: int = 32,
    too_long: str = "error",
    max_sentences: int = 500,
    seed: int = 0,
    show_progress: bool = True,
    kept: list[KeptPattern] | None = None,
    arguments: Mapping[str, Any] | None = None,
    labels: Sequence[str] = (),
) -> Results:
    """Measure checkpoints on parallel problems and return the table.

    `pairs` are context-question pairs such as "en-fr, *-en" (by default `base`-* and *-`base`); in-language versions
    that they are compared with are added. `metrics` is "default", "all" or names of `METRICS`. `controls` adds floor
    and chance (see `xlprobe.measuring.plan`); `forced` measures cross-query checkpoints also with both queries at work
    on in-language samples. `keep_patterns` names samples whose raw patterns are appended to `kept`. The table is
    written to the directory `out` (its manifest also keeps `arguments`), or to a temporary one; memory does not grow
    with the number of samples. Labels are matched with a classifier's classes by name; `labels` names the classes in
    the
    model's order where its configuration does not.

    Samples with more tokens than the model's positions raise `DataError`, or with too_long="skip" are left out,
    counted and listed in the manifest.
    """
    options = _options(samples, pairs, metrics, base, controls, forced, keep_patterns, batch_size, too_long)
    options = replace(options, max_sentences=max_sentences, seed=seed, show_progress=show_progress)
    loaded = _loaded(checkpoints)
    loaded = [replace(one, labels=tuple(labels)) for one in loaded] if labels else loaded
    directory = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="xlprobe-"))
    own = {
        "pairs": [f"{c}-{q}" for c, q in options.pairs],
        "metrics": list(options.metrics),
        **{name: getattr(options, name) for name in ("base", "controls", "batch_size", "seed")},
    }
    manifest = manifest_of(loaded, samples, options.languages_of(), {**(arguments or {}), **own})
    shards = Shards.of_run(out, {**manifest, "options": [options.max_sentences, options.forced, options.too_long]})
    with shards.writer(directory, manifest) as writer:
        for checkpoint in loaded:
            _measure_one(checkpoint, samples, options, writer, kept, shards)
        writer.manifest["left_out"] = options.left_out
    own_rows = shards.close()
    return Results.load(directory) if own_rows is None else own_rows


def _options(
    samples: Sequence[ParallelSample],
    pairs: str | Sequence[str] | None,
    metrics: str | Sequence[str],
    base: str,
    controls: bool,
    forced: bool,
    keep_patterns: Sequence[str],
    batch_size: int,
    too_long: str,
) -> Measurement:
    if not samples:
        raise DataError("got no samples to measure; expected at least one")
    languages = [code for code in samples[0].languages if all(code in sample.languages for sample in samples)]
    if base not in languages:
        base = languages[0] if languages else base
    wanted = [f"{base}-*", f"*-{base}"] if pairs is None else pairs if isinstance(pairs, str) else list(pairs)
    expanded = expand_pairs(wanted, languages)
    if not expanded:
        raise DataError(
            f"the samples exist in {' '.join(languages)} only, which makes no code-switched pair; "
            "expected at least two languages"
        )
    named = {"default": DEFAULT_METRICS, "all": METRICS}
    chosen = named.get(metrics) if isinstance(metrics, str) else tuple(metrics)
    if chosen is None:
        chosen = tuple(part.strip() for part in str(metrics).split(","))
    if unknown := [name for name in chosen if name not in METRICS]:
        raise DataError(f"got the metrics {unknown}; expected default, all, or some of {', '.join(METRICS)}")
    if missing := sorted(set(keep_patterns) - {sample.key for sample in samples}):
        raise DataError(f"asked to keep the patterns of {missing[:3]}, which are not among the {len(samples)} samples")
    if too_long not in ("error", "skip"):
        raise DataError(f"got too_long={too_long!r}; expected 'error' or 'skip'")
    if batch_size < 1:
        raise DataError(f"got batch_size={batch_size}; expected at least 1")
    return Measurement(tuple(expanded), chosen, base, controls, forced, frozenset(keep_patterns), batch_size, too_long)


def _loaded(checkpoints: Checkpoint | str | Sequence[Checkpoint | str]) -> list[Checkpoint]:
    items = [checkpoints] if isinstance(checkpoints, (Checkpoint, str)) else list(checkpoints)
    loaded = [item if isinstance(item, Checkpoint) else load(item) for item in items]
    names = [(checkpoint.name, checkpoint.provenance.get("seed")) for checkpoint in loaded]
    if twice := sorted({name for name, seed in names if names.count((name, seed)) > 1}):
        raise DataError(
            f"got several checkpoints named {', '.join(twice)}; give each a name of its own: load(spec, name=...). "
            "One name is for runs of one recipe with different training seeds"
        )
    if not loaded:
        raise DataError("got no checkpoint to measure; expected at least one")
    return loaded


def _measure_one(
    checkpoint: Checkpoint,
    samples: Sequence[ParallelSample],
    options: Measurement,
    writer: ResultsWriter,
    kept: list[KeptPattern] | None,
    shards: Shards,
) -> None:
    encoder = checkpoint.encoder()
    problems = _fitting(checkpoint, samples, options, encoder)
    columns: dict[str, Any] = {"checkpoint": checkpoint.name}
    if "seed" in checkpoint.provenance:
        columns["seed"] = checkpoint.provenance["seed"]
    dataset = ", ".join(sorted({sample.dataset for sample in problems}))
    missing = _missing(checkpoint, problems, options)
    for name, reason in missing.items():
        writer.append(np.array([np.nan]), metric=name, dataset=dataset, reason=reason, **columns)
    options = replace(options, metrics=tuple(name for name in options.metrics if name not in missing))
    _measure_patterns(checkpoint, problems, options, encoder, writer, kept, columns, dataset, shards)
    if not (names := options.wants(NEUTRALITY_METRICS)) or not shards.is_first:
        return
    sets = {"sentence": sentences_of(problems, options.languages_of(), options.max_sentences)}
    if any(len({*s.context[options.base], s.question.get(options.base, "")} - {""}) > 1 for s in problems):
        sets["problem"] = evenly(problems, options.max_sentences)
    for block, texts in sets.items():
        vectors = sentence_vectors(
            checkpoint, texts, languages=options.languages_of(), encoder=encoder, show_progress=options.show_progress
        )
        more = {**columns, "dataset": dataset, "block": block}
        measure_neutrality(vectors, names, writer, more, seed=options.seed, show_progress=options.show_progress)


def _measure_patterns(
    checkpoint: Checkpoint,
    problems: Sequence[ParallelSample],
    options: Measurement,
    encoder: Encoder,
    writer: ResultsWriter,
    kept: list[KeptPattern] | None,
    columns: dict[str, Any],
    dataset: str,
    shards: Shards,
) -> None:
    """Measure all that attention and logits tell, in one pass over the problems, shard by shard."""
    attention = options.wants(ATTENTION_METRICS)
    if "instability" in options.metrics and "js_stability" not in attention:
        attention.append("js_stability")
    patterns = options.keep_patterns if kept is not None else frozenset()
    if not (attention or options.wants((*HEAD_METRICS, *OUTPUT_METRICS)) or patterns):
        return

    def work(part: list[ProblemPlan], target: ResultsWriter) -> dict[str, Any]:
        means = InstabilityMeans()

        def sink(values: np.ndarray[Any, Any], labels: Mapping[str, Any], **more: Any) -> None:
            if more["metric"] == "js_stability":
                means.add(values, labels, more)
            layer = more.pop("layer")
            if more["metric"] in options.metrics:
                target.append(values, labels, **columns, **more, layer=None if layer < 0 else layer)

        reducers: list[Any] = [AttentionReducer(sink, attention)] if attention else []
        heads = HeadStructureReducer(options.wants(HEAD_METRICS))
        if heads.metrics:
            reducers.append(heads)
        if options.wants(OUTPUT_METRICS):
            reducers.append(OutputReducer(sink))
        if patterns and kept is not None:
            reducers.append(PatternReducer(checkpoint.name, checkpoint.tokenizer, patterns, kept))
        capture(checkpoint, paired_batches(problems, part, encoder, options.batch_size, advance), reducers)
        return {"means": means.state(), "heads": heads.state()}

    forced = options.forced and checkpoint.is_cross_query
    plans = plan(problems, options.pairs, base=options.base, controls=options.controls, forced=forced)
    means, heads = InstabilityMeans(), HeadStructureReducer(options.wants(HEAD_METRICS))
    show = options.show_progress and shards.is_first
    with progress(f"{checkpoint.name}: attention", len(plans), show=show) as advance:
        parts = plan_shards(plans, options.batch_size, SHARD_BATCHES)
        for state in shards.states(f"measure-{checkpoint.name}", parts, work, writer):
            means.merge(InstabilityMeans(**state["means"]))
            heads.add_state(state["heads"])
    if shards.is_first:
        _write_sums(means, heads, options, writer, columns, dataset)


def _write_sums(
    means: InstabilityMeans,
    heads: HeadStructureReducer,
    options: Measurement,
    writer: ResultsWriter,
    columns: dict[str, Any],
    dataset: str,
) -> None:
    """Write what is known only when all samples were seen."""
    indices = list(means.rows()) if "instability" in options.metrics else []
    if "instability" in options.metrics and not indices:
        why = "no floor or no chance: expected theories with several questions, and several theories"
        writer.append(np.array([np.nan]), metric="instability", dataset=dataset, reason=why, **columns)
    for index, more in indices:
        reason = None if np.isfinite(index).all() else f"chance is less than {LEAST_GAP} bits above floor in some heads"
        writer.append(index[None], metric="instability", dataset=dataset, reason=reason, **columns, **more)
    for value, more in heads.rows(options.base):
        writer.append(np.array([value]), dataset=dataset, **columns, **more)


def _missing(checkpoint: Checkpoint, problems: Sequence[ParallelSample], options: Measurement) -> dict[str, str]:
    """Return the metrics that were asked for and cannot be computed, each with the reason."""
    found: dict[str, str] = {}
    if all(sample.label is None for sample in problems):
        found |= dict.fromkeys(OUTPUT_METRICS, "no labels")
    if checkpoint.head != "classification":
        found |= dict.fromkeys(OUTPUT_METRICS, "no classification head")
    else:
        try:
            checkpoint.check_labels(problems)
        except DataError as error:
            found |= dict.fromkeys(OUTPUT_METRICS, str(error))
    if not checkpoint.is_cross_query:
        found |= dict.fromkeys(SHARES, "one query only: not a cross-query model")
    if not options.controls:
        found["instability"] = "measured without controls"
    return {name: reason for name, reason in found.items() if name in options.metrics}


def _fitting(
    checkpoint: Checkpoint, samples: Sequence[ParallelSample], options: Measurement, encoder: Encoder
) -> list[ParallelSample]:
    """Leave out, or refuse, problems that are too long in any of the versions that will run."""
    languages = options.languages_of()
    fits, excess = [], []
    for sample in samples:
        # The longest version has the longest context and the longest question of all languages.
        lengths = [encoder.length(sample.pair(code, code)) for code in languages]
        if max(lengths) <= encoder.max_length and all(
            encoder.length(sample.pair(*pair)) <= encoder.max_length for pair in options.pairs
        ):
            fits.append(sample)
        else:
            excess.append(sample.key)
    if excess:
        what = (
            f"{len(excess)} of {len(samples)} samples have more than the {encoder.max_length} tokens that "
            f"{checkpoint.name} takes: {', '.join(excess[:5])}{', ...' if len(excess) > 5 else ''}"
        )
        if options.too_long == "error" or not fits:
            raise DataError(f"{what}. Leave them out with too_long='skip' (--too-long skip), or use shorter problems")
        options.left_out[checkpoint.name] = {"too_long": len(excess), "samples": excess}
    return fits
