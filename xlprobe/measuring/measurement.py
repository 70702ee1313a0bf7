"""From checkpoints and parallel problems to the table of results, in one streaming pass per checkpoint."""

from __future__ import annotations

import gc
import shutil
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.errors import DataError
from xlprobe.measuring.attention import AnswerReader, AttentionReader, read_by
from xlprobe.measuring.design import DEFAULT_DESIGN, Checked, Design, check, with_options
from xlprobe.measuring.effects.runs import Run, measure_answers, measure_interventions
from xlprobe.measuring.forward import capture, give_back_memory
from xlprobe.measuring.head_structure import HeadStructureReader
from xlprobe.measuring.inputs import checkpoints_of, metrics_of, problems_of
from xlprobe.measuring.instability import InstabilityMeans
from xlprobe.measuring.languages import measure_languages
from xlprobe.measuring.lock import locked
from xlprobe.measuring.manifest import about_checkpoint, fingerprint_of, manifest_of
from xlprobe.measuring.neutrality import measure_vectors, text_sets
from xlprobe.measuring.parts import part_of
from xlprobe.measuring.patterns import KeptPattern, PatternReader, attention_of_units
from xlprobe.measuring.plan import ProblemPlan, paired_batches, plan, plan_shards
from xlprobe.measuring.sentences import sentence_vectors
from xlprobe.measuring.shards import SHARD_BATCHES, Shards, sweep
from xlprobe.metrics import by_computation, get_metric
from xlprobe.metrics.base import Metric
from xlprobe.metrics.blocks import CLOSED_TO_CAUSAL
from xlprobe.progress import progress
from xlprobe.results import Results, ResultsWriter
from xlprobe.results.patterns import read_patterns, write_patterns
from xlprobe.samples.encoding import Encoder
from xlprobe.samples.types import ParallelSample
from xlprobe.statistics import LEAST_GAP

__all__ = ["measure"]


def measure(
    checkpoints: Any,
    samples: Any,
    *,
    design: Design = DEFAULT_DESIGN,
    metrics: Any = "default",
    out: str | Path | None = None,
    kept: list[KeptPattern] | None = None,
    **options: Any,
) -> Results:
    """Measure checkpoints on parallel problems and return the table.

    `checkpoints` are one or several, loaded or by name (then one is in memory at a time); `samples` parallel problems:
    a sequence, an iterator, a file that `xlprobe.samples.read` knows, or a data set. `metrics` are "default", "figures"
    (what the report draws, too), "all", names of `xlprobe.metrics.METRICS`, or one's own (`xlprobe.metric`). The rest
    is the `design`, whose fields may be given as options: pairs="en-fr, *-en", controls=False, ... (see `Design`).

    The table is written to the directory `out`, where a run that was stopped goes on when it is asked for again, or to
    a temporary one, which goes when the answer does. Patterns that `keep_patterns` names are kept beside it, and
    appended to `kept`. Memory does not grow with the number of samples. What a checkpoint cannot have is one row with
    the reason. Raises `DataError` on problems that are too long or lack a language, unless the design says "skip"."""
    checked = check(with_options(design, options), metrics_of(metrics), problems_of(samples))
    directory = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="xlprobe-"))
    try:
        part = isinstance(part_of(checked.design.shard), tuple)  # others are at work on theirs at the same time
        with locked(None if out is None or part else directory):
            own = _measured(checkpoints, checked, directory, out is not None, kept)
        return own if own is not None else Results.load(directory, temporary=out is None)
    except BaseException:
        if out is None:
            shutil.rmtree(directory, ignore_errors=True)
        raise


def _measured(
    checkpoints: Any, checked: Checked, directory: Path, keep: bool, kept: list[KeptPattern] | None
) -> Results | None:
    """Write the table of all checkpoints; processes other than the first return their own rows."""
    if keep and checked.design.shard is None:
        sweep(directory)
    manifest = manifest_of(checked)
    show = checked.design.show_progress
    about, shard = fingerprint_of(checked, manifest), checked.design.shard
    shards = Shards.of_run(directory if keep else None, about, say=show, shard=shard)
    patterns: list[KeptPattern] = []
    with shards.writer(directory, manifest) as writer:
        for checkpoint in checkpoints_of(checkpoints, checked.design.device, checked.design.labels):
            about_checkpoint(checkpoint, checked.problems, writer.manifest)
            one = CheckpointRun(checkpoint, checked, checkpoint.encoder(), writer, shards)
            patterns += one.measure()
            del checkpoint, one  # the next is loaded when this one is gone, with all that refers to it in circles
            gc.collect()
            give_back_memory()
        if patterns and shards.is_first:
            write_patterns(patterns, directory)
    if kept is not None:
        kept.extend(patterns)
    with progress("table", 1, show=show and shards.is_first) as advance:
        table = shards.close()
        advance(1)
    return table


@dataclass(frozen=True)
class CheckpointRun:
    """One checkpoint on the problems of a checked design: every pass writes its rows, shard by shard."""

    checkpoint: Checkpoint
    checked: Checked
    encoder: Encoder
    writer: ResultsWriter
    shards: Shards

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that all rows share."""
        seed = self.checkpoint.provenance.get("seed")
        return {"checkpoint": self.checkpoint.name} | ({} if seed is None else {"seed": seed})

    def measure(self) -> list[KeptPattern]:
        """Measure everything; return the patterns kept."""
        left_out: dict[str, Any] = {}
        problems = fitting(self.encoder, self.checked, self.checkpoint.name, left_out)
        if left_out or self.checked.incomplete:
            lacking = {"lacking": len(self.checked.incomplete), "samples_lacking": list(self.checked.incomplete)}
            self.writer.manifest["left_out"][self.checkpoint.name] = left_out | (
                lacking if self.checked.incomplete else {}
            )
        checked = replace(self.checked, problems=tuple(problems))
        absent = unavailable(self.checkpoint, checked)
        for name, reason in absent.items():
            self._note(name, reason)
        checked = checked.without(list(absent))
        for metric in checked.metrics:
            for block in [block for block in metric.blocks if block in self.closed]:
                self._note(metric.name, self.closed[block], block=block)
            if len(self._narrowed(metric).poolings) < len(metric.poolings):
                self._note(metric.name, "token by token needs whole patterns (queries_at_once)", pooling="token")
        one = replace(self, checked=checked.narrowed(self._narrowed))
        patterns = one._attention()
        one._answers()
        one._vectors()
        one._interventions()
        if self.shards.is_first:
            measure_languages(one.checked.of("text"), self.checkpoint, one.checked, self.writer)
        return patterns

    @property
    def closed(self) -> Mapping[str, str]:
        """The blocks of attention that the model has not, with the reason."""
        return CLOSED_TO_CAUSAL if self.checkpoint.is_causal else {}

    def _narrowed(self, one: Metric) -> Metric:
        """Return a metric of those blocks that the model has, and of the poolings that are possible."""
        whole = self.checked.design.queries_at_once is None
        poolings = tuple(pooling for pooling in one.poolings if whole or pooling != "token")
        return replace(one, blocks=tuple(block for block in one.blocks if block not in self.closed), poolings=poolings)

    def _note(self, name: str, reason: str, **more: Any) -> None:
        columns = {"dataset": self.checked.dataset, "reason": reason, **self.columns, **more}
        self.writer.append(np.array([np.nan]), metric=name, **columns)

    def _shards(self, name: str, pieces: Sequence[Any], work: Any) -> list[dict[str, Any]]:
        """Do one pass, shard by shard, and return its sums."""
        one = self.checkpoint
        fed = zlib.crc32(repr((sorted(one.encoding.items()), one.labels)).encode())
        name = f"{name}-{one.name}-{one.hash[:12]}{fed:08x}"
        return list(self.shards.states(name, pieces, work, self.writer))

    def _attention(self) -> list[KeptPattern]:
        """Measure all that attention and logits of the compared versions tell, in one pass over the problems."""
        checked = self.checked
        heads = tuple(one.name for one in checked.of("attention", "sums"))
        keys = frozenset(checked.design.keep_patterns)
        attention = list(read_by(checked.metrics))
        if "instability" in checked.names and "js_stability" not in checked.names:
            attention.append(self._narrowed(get_metric("js_stability")))
        answers = checked.of("logits")
        if not (attention or heads or answers or keys):
            return []
        kept: list[KeptPattern] = []

        def work(piece: list[ProblemPlan], target: Any) -> dict[str, Any]:
            means = InstabilityMeans()

            def sink(values: np.ndarray[Any, Any], labels: Mapping[str, Any], **more: Any) -> None:
                if more["metric"] == "js_stability":
                    means.add(values, labels, more)
                layer = more.pop("layer")
                if more["metric"] in checked.names:
                    target.append(values, labels, **self.columns, **more, layer=None if layer < 0 else layer)

            patterns = PatternReader(self.checkpoint.name, self.checkpoint.tokenizer, keys)
            structure = HeadStructureReader(heads, self.closed)
            readers: list[Any] = [
                *([AttentionReader(sink, attention)] if attention else []),
                *([structure] if heads else []),
                *([AnswerReader(sink, answers)] if answers else []),
                *([patterns] if keys else []),
            ]
            batches = paired_batches(checked.problems, piece, self.encoder, checked.design.batch_size, advance)
            capture(self.checkpoint, batches, readers, queries_at_once=checked.design.queries_at_once)
            if patterns.kept and self.shards.directory is not None:
                write_patterns(patterns.kept, target.directory)
            kept.extend(patterns.kept)
            return {"means": means.state(), "heads": structure.state()}

        design = checked.design
        forced = design.forced and self.checkpoint.is_cross_query
        plans = plan(checked.problems, checked.pairs, base=checked.base, controls=design.controls, forced=forced)
        means, structure = InstabilityMeans(), HeadStructureReader(heads)
        show = design.show_progress and self.shards.is_first
        with progress(f"{self.checkpoint.name}: attention", len(plans), show=show) as advance:
            for state in self._shards("attention", plan_shards(plans, design.batch_size, SHARD_BATCHES), work):
                means.merge(InstabilityMeans(**state["means"]))
                structure.add_state(state["heads"])
        if self.shards.directory is not None:
            kept = [one for one in read_patterns(self.shards.finished()) if one.checkpoint == self.checkpoint.name]
        if self.shards.is_first:
            self._write_sums(means, structure)
            if kept and "attention" in checked.names:
                attention_of_units(kept, self.writer, self.writer.manifest)
        return kept

    def _write_sums(self, means: InstabilityMeans, structure: HeadStructureReader) -> None:
        """Write what is known only when all problems were seen."""
        columns = {"dataset": self.checked.dataset, **self.columns}
        indices = list(means.rows()) if "instability" in self.checked.names else []
        if "instability" in self.checked.names and not indices:
            self._note(
                "instability", "no floor or no chance: expected theories with several questions, and several theories"
            )
        for index, more in indices:
            reason = (
                None if np.isfinite(index).all() else f"chance is less than {LEAST_GAP} bits above floor in some heads"
            )
            self.writer.append(index[None], metric="instability", reason=reason, **columns, **more)
        for value, more in structure.rows(self.checked.base):
            self.writer.append(np.array([value]), **columns, **more)

    def _run(self, pairs: Sequence[tuple[str, str]], problems: Sequence[ParallelSample]) -> Run:
        design = self.checked.design
        return Run(
            self.checkpoint, problems, pairs, self.checked.base, design.interventions, design.batch_size, design.seed
        )

    def _answers(self) -> None:
        """Measure the answers on the pairs of which only these are asked for."""
        checked = self.checked
        contexts = {checked.base, *(context for context, _ in checked.pairs)}
        pairs = [pair for pair in checked.answers if not (pair[0] == pair[1] and pair[0] in contexts)]
        if not (metrics := checked.of("logits")) or not pairs:
            return
        size = checked.design.batch_size * SHARD_BATCHES
        pieces = [checked.problems[start : start + size] for start in range(0, len(checked.problems), size)]

        def work(piece: Sequence[ParallelSample], target: Any) -> dict[str, Any]:
            run = replace(self._run(pairs, piece), with_reference=False)
            measure_answers(metrics, run, target, self.columns)
            advance(len(piece))
            return {}

        show = checked.design.show_progress and self.shards.is_first
        with progress(f"{self.checkpoint.name}: answers", len(checked.problems), show=show) as advance:
            self._shards("answers", pieces, work)

    def _vectors(self) -> None:
        """Measure what vectors of sentences and of problems tell."""
        if not self.checked.of("vectors"):
            return

        def work(piece: tuple[str, list[ParallelSample]], target: Any) -> dict[str, Any]:
            block, texts = piece
            vectors = sentence_vectors(
                self.checkpoint, texts, languages=self.checked.languages, encoder=self.encoder,
                show_progress=self.checked.design.show_progress,
            )  # fmt: skip
            columns = {**self.columns, "dataset": self.checked.dataset, "block": block}
            measure_vectors(self.checked, vectors, target, columns)
            return {}

        self._shards("vectors", list(text_sets(self.checked).items()), work)

    def _interventions(self) -> None:
        """Measure what interventions do to the answer, on a few problems."""
        checked, options = self.checked, self.checked.design.interventions
        metrics = checked.of("intervention")
        if not metrics:
            return
        switched = [pair for pair in checked.pairs if pair[0] != pair[1]]
        pairs = [pair for pair in switched if pair[0] == checked.base] or switched or list(checked.pairs)
        problems = few(checked.problems, checked.base, options.problems)
        self.writer.manifest.setdefault("effects", {})[self.checkpoint.name] = {"problems": len(problems)}
        run = self._run(pairs[: options.pairs], problems)

        def work(piece: Any, target: Any) -> dict[str, Any]:
            measure_interventions(piece, run, target, self.columns, advance)
            return {}

        pieces = [several for _, several in by_computation(metrics)]
        show = checked.design.show_progress and self.shards.is_first
        total = len(pieces) * len(run.all_pairs) * len(problems)
        with progress(f"{self.checkpoint.name}: interventions", total, show=show) as advance:
            self._shards("interventions", pieces, work)


def unavailable(checkpoint: Checkpoint, checked: Checked) -> dict[str, str]:
    """Return the metrics that were asked for and cannot be computed, each with the reason."""
    reasons: dict[str, str] = {}
    answers = [one.name for one in checked.metrics if "logits" in one.needs]
    labels = {problem.label for problem in checked.problems}
    if labels == {None}:
        reasons |= dict.fromkeys(answers, "no labels")
    elif any(not problem.question for problem in checked.problems):
        reasons |= dict.fromkeys([one.name for one in checked.of("intervention")], "problems without a question")
    if not checkpoint.can_answer:
        reasons |= dict.fromkeys(answers, "no classification head")
    elif answers:
        try:
            checkpoint.check_labels(checked.problems)
        except DataError as error:
            reasons |= dict.fromkeys(answers, str(error))
    if checked.design.queries_at_once is not None:
        reasons |= dict.fromkeys(
            [one.name for one in checked.metrics if _of_whole_patterns(one)],
            "of whole patterns, and measured some queries at a time (queries_at_once)",
        )
    if not checkpoint.is_cross_query:
        shares = [one.name for one in checked.of("attention", "queries")]
        reasons |= dict.fromkeys(shares, "one query only: not a cross-query model")
    if not checked.design.controls:
        reasons["instability"] = "measured without controls"
    patching = [name for name in checked.names if name.startswith("patching_")]
    if not any(pair[0] == checked.base != pair[1] for pair in checked.pairs):
        for name in patching:
            reasons.setdefault(name, f"no code-switched pair whose context is in {checked.base}")
    if not checked.design.keep_patterns:
        reasons["attention"] = "no patterns kept: keep_patterns names no problem"
    return {name: reason for name, reason in reasons.items() if name in checked.names}


def _of_whole_patterns(one: Metric) -> bool:
    """Whether a metric cannot be summed up from the attention that queries pay to units, some queries at a time."""
    by_unit = (one.kind, one.takes) in {("attention", "units"), ("comparison", "rows"), ("comparison", "means")}
    return one.kind in ("attention", "comparison") and (one.weighted or not by_unit)


def few(problems: Sequence[ParallelSample], base: str, count: int | None) -> list[ParallelSample]:
    """Return the shortest problems, of as many theories as there are; None: all."""
    if count is None:
        return list(problems)
    ordered = sorted(problems, key=lambda problem: (sum(map(len, problem.context[base])), problem.key))
    first = list({problem.group: problem for problem in reversed(ordered)}.values())[::-1]
    chosen = {problem.key for problem in first}
    return [*first, *(problem for problem in ordered if problem.key not in chosen)][:count]


def fitting(encoder: Encoder, checked: Checked, name: str, left_out: dict[str, Any]) -> list[ParallelSample]:
    """Leave out, or refuse, problems that are too long in any of the versions that will run."""
    # The longest version has the longest context and the longest question of all languages.
    pairs = [*((code, code) for code in checked.languages), *checked.pairs, *checked.answers]
    fits, excess = [], []
    for problem in checked.problems:
        lengths = (encoder.length(problem.pair(*pair)) for pair in pairs)
        if all(length <= encoder.max_length for length in lengths):
            fits.append(problem)
        else:
            excess.append(problem.key)
    if excess:
        what = (
            f"{len(excess)} of {len(checked.problems)} samples have more than the {encoder.max_length} tokens that "
            f"{name} takes: {', '.join(excess[:5])}{', ...' if len(excess) > 5 else ''}"
        )
        if checked.design.too_long == "error" or not fits:
            raise DataError(f"{what}. Leave them out with too_long='skip' (--too-long skip), or use shorter problems")
        left_out |= {"too_long": len(excess), "samples": excess}
    return fits
