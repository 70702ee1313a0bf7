"""One checkpoint on the problems of a design: the passes that write its rows."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.measuring.attention import AnswerReader, AttentionReader, read_by
from xlprobe.measuring.design import Checked
from xlprobe.measuring.effects.batch_run import Run, measure_answers, measure_interventions
from xlprobe.measuring.forward import capture
from xlprobe.measuring.head_structure import HeadStructureReader
from xlprobe.measuring.instability import InstabilityMeans
from xlprobe.measuring.languages import measure_languages
from xlprobe.measuring.neutrality import measure_vectors, text_sets
from xlprobe.measuring.patterns import KeptPattern, PatternReader, attention_of_units
from xlprobe.measuring.plan import ProblemPlan, paired_batches, plan, plan_shards
from xlprobe.measuring.possible import few, fitting, unavailable
from xlprobe.measuring.rows import Sink
from xlprobe.measuring.sentences import sentence_vectors
from xlprobe.measuring.shards import SHARD_BATCHES, Shards
from xlprobe.memory import give_back_memory
from xlprobe.metrics import by_computation, get_metric
from xlprobe.metrics.base import Metric
from xlprobe.progress import progress
from xlprobe.results import ResultsWriter
from xlprobe.results.patterns import pattern_file, read_patterns
from xlprobe.samples.encoding import Encoder
from xlprobe.samples.resting import rest
from xlprobe.samples.types import ParallelSample
from xlprobe.statistics import LEAST_GAP

__all__ = ["CheckpointRun"]


@dataclass(frozen=True)
class CheckpointRun:
    """One checkpoint on the problems of a checked design: every pass writes its rows, shard by shard.

    `rests` says that nobody else uses the tokenizer, which then rests while the model runs.
    """

    checkpoint: Checkpoint
    checked: Checked
    encoder: Encoder
    writer: ResultsWriter
    shards: Shards
    rests: bool = False

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that all rows share."""
        seed = self.checkpoint.provenance.get("seed")
        return {"checkpoint": self.checkpoint.name} | ({} if seed is None else {"seed": seed})

    def measure(self, keep: Callable[[list[KeptPattern]], None]) -> None:
        """Measure everything; `keep` takes the patterns that are kept, before the next passes want their memory."""
        one = self._of_what_is_possible()
        if self.shards.is_first:
            measure_languages(one.checked.of("text"), self.checkpoint, one.checked, self.writer)
        pieces = one._pieces()
        texts = text_sets(one.checked) if one.checked.of("vectors") else {}
        if self.rests:
            one._tokenise(sample for several in texts.values() for sample in several)
            rest(self.checkpoint.tokenizer)
        give_back_memory()  # what one pass leaves in pieces the next cannot use
        keep(one._attention(pieces))
        for measured in (one._answers, partial(one._vectors, texts), one._interventions):
            give_back_memory()
            measured()

    def _of_what_is_possible(self) -> CheckpointRun:
        """Return the run of the problems that fit and the metrics that there can be; note what there cannot."""
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
        return replace(self, checked=checked.narrowed(self._narrowed))

    def _tokenise(self, texts: Iterable[ParallelSample]) -> None:
        """Have the encoder remember the tokens of texts in each language."""
        for text in texts:
            for code in self.checked.languages:
                self.encoder.length(text.pair(code, code))

    @property
    def closed(self) -> Mapping[str, str]:
        """The blocks of attention that the model has not, with the reason."""
        return self.checkpoint.closed

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
        fed = zlib.crc32(repr((sorted(one.encoding.items()), one.labels, one.part)).encode())
        name = f"{name}-{one.name}-{one.hash[:12]}{fed:08x}"
        return list(self.shards.states(name, pieces, work, self.writer))

    def _progress(self, what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        show = self.checked.design.show_progress and self.shards.is_first
        return progress(f"{self.checkpoint.name}: {what}", total, show=show)

    def _pieces(self) -> dict[int, str]:
        """Return the tokens of the problems whose patterns are kept, by id."""
        checked = self.checked
        pairs = [*((code, code) for code in checked.languages), *checked.pairs]
        kept = [problem for problem in checked.problems if problem.key in checked.design.keep_patterns]
        texts = [self.encoder.encode([problem.pair(*pair)]) for problem in kept for pair in pairs]
        ids = sorted({number for text in texts for number in text.input_ids[0].tolist()})
        tokens: Any = self.checkpoint.tokenizer.convert_ids_to_tokens(ids)
        return dict(zip(ids, tokens, strict=True))

    def _attention(self, pieces: Mapping[int, str]) -> list[KeptPattern]:
        """Measure all that attention and logits of the compared versions tell, in one pass over the problems."""
        checked, design = self.checked, self.checked.design
        heads = tuple(one.name for one in checked.of("attention", "sums"))
        keys = frozenset(design.keep_patterns if self.checkpoint.part == "encoder" else ())
        attention = list(read_by(checked.metrics))
        if "instability" in checked.names and "js_stability" not in checked.names:
            attention.append(self._narrowed(get_metric("js_stability")))
        answers = checked.of("logits")
        if not (attention or heads or answers or keys):
            return []
        kept: list[KeptPattern] = []

        def work(piece: list[ProblemPlan], target: Any) -> dict[str, Any]:
            means, structure = InstabilityMeans(), HeadStructureReader(heads, self.closed)
            sink = self._sink(target, means)
            with pattern_file(target.directory) if self.shards.directory else nullcontext(kept.extend) as take:
                readers: list[Any] = [
                    *([AttentionReader(sink, attention)] if attention else []),
                    *([structure] if heads else []),
                    *([AnswerReader(sink, answers)] if answers else []),
                    *([PatternReader(self.checkpoint.name, pieces, keys, take)] if keys else []),
                ]
                batches = paired_batches(checked.problems, piece, self.encoder, design.batch_size, advance)
                capture(self.checkpoint, batches, readers, queries_at_once=design.queries_at_once)
            return {"means": means.state(), "heads": structure.state()}

        forced = design.forced and self.checkpoint.is_cross_query
        plans = plan(checked.problems, checked.pairs, base=checked.base, controls=design.controls, forced=forced)
        means, structure = InstabilityMeans(), HeadStructureReader(heads)
        with self._progress("attention", len(plans)) as advance:
            for state in self._shards("attention", plan_shards(plans, design.batch_size, SHARD_BATCHES), work):
                means.merge(InstabilityMeans(**state["means"]))
                structure.add_state(state["heads"])
        if self.shards.directory is not None:
            kept = read_patterns(self.shards.finished(), self.checkpoint.name)
        if self.shards.is_first:
            self._write_sums(means, structure)
            if kept and "attention" in checked.names:
                attention_of_units(kept, self.writer, self.writer.manifest)
        return kept

    def _sink(self, target: Any, means: InstabilityMeans) -> Sink:
        """Return what takes the readers' values: the table, and the means that instability is made of."""
        wanted = "instability" in self.checked.names

        def sink(values: np.ndarray[Any, Any], labels: Mapping[str, Any], **more: Any) -> None:
            if wanted and more["metric"] == "js_stability":
                means.add(values, labels, more)
            layer = more.pop("layer")
            if more["metric"] in self.checked.names:
                target.append(values, labels, **self.columns, **more, layer=None if layer < 0 else layer)

        return sink

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
            self.checkpoint, problems, pairs, self.checked.base, design.interventions, design.batch_size, design.seed,
            given_encoder=self.encoder,
        )  # fmt: skip

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

        with self._progress("answers", len(checked.problems)) as advance:
            self._shards("answers", pieces, work)

    def _vectors(self, sets: Mapping[str, list[ParallelSample]]) -> None:
        """Measure what vectors of sentences and of problems tell."""

        def work(piece: tuple[str, list[ParallelSample]], target: Any) -> dict[str, Any]:
            block, texts = piece
            vectors = sentence_vectors(
                self.checkpoint, texts, languages=self.checked.languages, encoder=self.encoder,
                batch_size=self.checked.design.batch_size, show_progress=self.checked.design.show_progress,
            )  # fmt: skip
            columns = {**self.columns, "dataset": self.checked.dataset, "block": block}
            measure_vectors(self.checked, vectors, target, columns)
            return {}

        if sets:
            self._shards("vectors", list(sets.items()), work)

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
        with self._progress("interventions", len(pieces) * len(run.all_pairs) * len(problems)) as advance:
            self._shards("interventions", pieces, work)
