"""From checkpoints and parallel problems to the table of results, in one streaming pass per checkpoint."""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from xlprobe.captures.attention import ATTENTION_METRICS, AttentionReducer, OutputReducer
from xlprobe.captures.instability import InstabilityMeans
from xlprobe.captures.neutrality import NEUTRALITY_METRICS, measure_neutrality
from xlprobe.captures.patterns import KeptPattern, PatternReducer
from xlprobe.captures.plan import PairedBatch, ProblemPlan, paired_batches, plan
from xlprobe.captures.sentences import sentence_vectors, sentences_of
from xlprobe.captures.stream import capture
from xlprobe.errors import DataError
from xlprobe.languages import expand_pairs
from xlprobe.metrics import SIMILARITIES
from xlprobe.models.checkpoint import Checkpoint, load
from xlprobe.progress import progress
from xlprobe.results import Results, ResultsWriter
from xlprobe.samples.encoding import Encoder
from xlprobe.samples.types import ParallelSample

__all__ = ["DEFAULT_METRICS", "METRICS", "Measurement", "measure"]

OUTPUT_METRICS = ("correct", "gold_margin")
METRICS: tuple[str, ...] = (*ATTENTION_METRICS, "instability", *OUTPUT_METRICS, *NEUTRALITY_METRICS)
"""Every metric that `measure` knows."""

DEFAULT_METRICS: tuple[str, ...] = tuple(
    name for name in METRICS if name == "js_stability" or (name not in SIMILARITIES and not name.startswith("norm_"))
)
"""What `measure(metrics="default")` computes: all but the robustness set and the norm-weighted metrics."""


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
) -> Results:
    """Measure checkpoints on parallel problems and return the table.

    `pairs` are context-question pairs such as "en-fr, *-en" (by default `base`-* and *-`base`); in-language versions
    that they are compared with are added. `metrics` is "default", "all" or names of `METRICS`. `controls` adds floor
    and chance (see `xlprobe.captures.plan`); `forced` measures cross-query checkpoints also with both queries at work
    on in-language samples. `keep_patterns` names samples whose raw patterns are appended to `kept`. The table is
    written to the directory `out` (its manifest also keeps `arguments`), or to a temporary one; memory does not grow
    with the number of samples.

    Samples with more tokens than the model's positions raise `DataError`, or with too_long="skip" are left out,
    counted and listed in the manifest.
    """
    options = _options(samples, pairs, metrics, base, controls, forced, keep_patterns, batch_size, too_long)
    options = replace(options, max_sentences=max_sentences, seed=seed, show_progress=show_progress)
    loaded = _loaded(checkpoints)
    directory = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="xlprobe-"))
    manifest = _manifest(loaded, samples, options, arguments or {})
    with ResultsWriter(directory, manifest) as writer:
        for checkpoint in loaded:
            _measure_one(checkpoint, samples, options, writer, kept)
        writer.manifest["left_out"] = options.left_out
    return Results.load(directory)


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
    names = [checkpoint.name for checkpoint in loaded]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"got several checkpoints named {', '.join(twice)}; give each a name of its own: load(spec, name=...)"
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
) -> None:
    positions = int(checkpoint.model.config.max_position_embeddings)
    # RoBERTa-like encoders number positions from pad + 1, so that many rows of the table are never used.
    if "roberta" in checkpoint.model.config.model_type:
        positions -= int(checkpoint.model.config.pad_token_id or 0) + 1
    encoder = Encoder(checkpoint.tokenizer, max_length=positions, **checkpoint.encoding)
    problems = _fitting(checkpoint, samples, options, encoder)
    columns: dict[str, Any] = {"checkpoint": checkpoint.name}
    if "seed" in checkpoint.provenance:
        columns["seed"] = checkpoint.provenance["seed"]

    means = InstabilityMeans()

    def sink(values: np.ndarray[Any, Any], batch: PairedBatch, rows: np.ndarray[Any, Any], **more: Any) -> None:
        labels = _labels(batch, rows)
        if more["metric"] == "js_stability":
            means.add(values, labels, more)
        layer = more.pop("layer")
        writer.append(values, labels, **columns, **more, layer=None if layer < 0 else layer)

    reducers: list[Any] = []
    if attention := options.wants(ATTENTION_METRICS):
        reducers.append(AttentionReducer(sink, attention))
    if options.wants(OUTPUT_METRICS):
        if checkpoint.head == "classification" and any(sample.label is not None for sample in problems):
            reducers.append(OutputReducer(sink))
        else:
            _missing(
                writer,
                checkpoint,
                options,
                "no classification head" if any(s.label is not None for s in problems) else "no labels",
            )
    if options.keep_patterns and kept is not None:
        reducers.append(PatternReducer(checkpoint.name, checkpoint.tokenizer, options.keep_patterns, kept))
    if reducers:
        plans: list[ProblemPlan] = plan(
            problems,
            options.pairs,
            base=options.base,
            controls=options.controls,
            forced=options.forced and checkpoint.is_cross_query,
        )
        with progress(f"{checkpoint.name}: attention", len(plans), show=options.show_progress) as advance:
            capture(checkpoint, paired_batches(problems, plans, encoder, options.batch_size, advance), reducers)
    dataset = ", ".join(sorted({sample.dataset for sample in problems}))
    for values, more in means.rows() if "instability" in options.metrics else ():
        reason = None if np.isfinite(values).all() else "chance is not above floor in some heads"
        writer.append(values[None], metric="instability", dataset=dataset, reason=reason, **columns, **more)
    if names := options.wants(NEUTRALITY_METRICS):
        sentences = sentences_of(problems, options.languages_of(), options.max_sentences)
        vectors = sentence_vectors(checkpoint, sentences, encoder=encoder, show_progress=options.show_progress)
        more = {**columns, "dataset": dataset}
        measure_neutrality(vectors, names, writer, more, seed=options.seed, show_progress=options.show_progress)


def _missing(writer: ResultsWriter, checkpoint: Checkpoint, options: Measurement, reason: str) -> None:
    """Say in the table why a metric has no value, as a row of its own."""
    for name in options.wants(OUTPUT_METRICS):
        writer.append(np.array([np.nan]), metric=name, checkpoint=checkpoint.name, reason=reason)


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


def _labels(batch: PairedBatch, rows: np.ndarray[Any, Any]) -> dict[str, list[Any]]:
    picked = [batch.samples[row] for row in rows]
    return {
        "dataset": [sample.dataset for sample in picked],
        "context_language": [sample.context_language for sample in picked],
        "question_language": [sample.question_language for sample in picked],
        "sample": [sample.key for sample in picked],
        "group": [sample.group for sample in picked],
        "depth": [sample.depth for sample in picked],
    }


def _manifest(
    checkpoints: Sequence[Checkpoint],
    samples: Sequence[ParallelSample],
    options: Measurement,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    packages = (
        "xlprobe",
        "torch",
        "transformers",
        "transformer-lens",
        "numpy",
        "scipy",
        "pandas",
        "pyarrow",
        "matplotlib",
    )
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(
            repr((sample.key, sorted(sample.context.items()), sorted(sample.question.items()), sample.label)).encode()
        )
    return {
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "arguments": {
            **arguments,
            "pairs": [f"{c}-{q}" for c, q in options.pairs],
            "metrics": list(options.metrics),
            "base": options.base,
            "controls": options.controls,
            "batch_size": options.batch_size,
            "seed": options.seed,
        },
        "checkpoints": {
            c.name: {
                "spec": c.spec,
                "sha256": c.hash,
                "is_cross_query": c.is_cross_query,
                "head": c.head,
                "layers": c.num_layers,
                "heads": c.num_heads,
                **_plain(c.provenance),
            }
            for c in checkpoints
        },
        "data": {
            "datasets": sorted({sample.dataset for sample in samples}),
            "samples": len(samples),
            "groups": len({sample.group for sample in samples}),
            "languages": list(options.languages_of()),
            "sha256": digest.hexdigest(),
        },
        "versions": {"python": platform.python_version(), **versions},
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float, bool, list, dict))}
