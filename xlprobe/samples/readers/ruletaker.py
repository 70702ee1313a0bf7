"""RuleTaker: does a statement follow from facts and rules? (Clark et al. 2020, arXiv 2002.05867)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import aligned, chosen, english_first
from xlprobe.samples.readers.containers import rows_of
from xlprobe.samples.readers.lines import Row
from xlprobe.samples.readers.rejected import Rejections
from xlprobe.samples.readers.theories import Numbering, TheoryText, read_theory
from xlprobe.samples.readers.verbalised import verbalised_samples
from xlprobe.samples.types import ParallelSample

__all__ = ["aligned_rules", "read_ruletaker", "rule_samples"]


def read_ruletaker(
    path: str | Path,
    *,
    languages: str | Sequence[str] | None = None,
    split: str = "dev",
    depth: str = "depth-3",
    max_depth: int | None = None,
    rejections: Rejections | None = None,
) -> Iterator[ParallelSample]:
    """Read RuleTaker problems, one for each question; the theory is the group, 1 follows, 0 does not.

    `path` is an English file, in any container (`xlprobe.samples.readers.containers`), of theories with their questions
    or with one question a row (the Hub's RuleTaker and ProofWriter), or the base directory of translations, laid out as
    `<base>/<language>/original/<depth>/<split>.jsonl` (arXiv 2310.15258's release). With other `languages` than
    English, an English file is parsed into theories, which are verbalised in each language
    (`xlprobe.samples.rulebase`); the prover must then agree with the file's label. NatLang, written by people, and
    birds-electricity, of birds and circuits, do not parse, and it is said which words the grammars lack: read them in
    English. `max_depth` keeps questions of at most that QDep (a depth-N file holds deeper ones), and those without
    QDep. What does not parse, agree, or align goes to `rejections`, or, without one, is summed up on standard error.
    Raises `DataError`, naming file, line and question, for what is missing or of another type.
    """
    base = Path(path)
    codes = chosen(languages)
    remarks = Rejections() if rejections is None else rejections
    if base.is_dir():
        samples = aligned_rules(_translations(base, codes, split, depth), str(base), max_depth, remarks)
    elif codes is None or set(codes) == {"en"}:
        samples = rule_samples(rows_of(base), "ruletaker", max_depth)
    else:
        samples = verbalised_samples(rows_of(base), codes, max_depth, remarks)
    for sample in samples:
        remarks.read += 1
        yield sample
    if rejections is None:
        remarks.say()


def rule_samples(
    rows: Iterable[Row], dataset: str, max_depth: int | None = None, language: str = "en"
) -> Iterator[ParallelSample]:
    """Turn rows of theories with questions, in one language, into samples."""
    numbering = Numbering(dataset)
    for where, row in rows:
        theory = read_theory(row, where, language)
        group, before = numbering.start(theory)
        for place, asked in theory.up_to(max_depth):
            yield ParallelSample(
                f"{group}-{before + place}",
                group,
                dataset,
                {language: theory.context},
                {language: asked.text},
                asked.label,
                asked.depth,
                asked.meta,
                theory.names,
            )


def _translations(base: Path, languages: tuple[str, ...] | None, split: str, depth: str) -> dict[str, Iterator[Row]]:
    """Find the files of several languages, English first."""
    there = sorted(p.name for p in base.iterdir() if (p / "original" / depth).is_dir())
    codes = languages or chosen(english_first(there) or None)
    if codes is None:
        raise DataError(
            f"{base} has no translations of {depth}; expected {base}/<language>/original/{depth}/{split}.jsonl. "
            "Choose another depth, or give one English file"
        )
    files = {}
    for code in codes:
        plain = base / code / "original" / depth / f"{split}.jsonl"
        file = next((one for one in (plain, plain.with_name(plain.name + ".gz")) if one.exists()), None)
        if file is None:
            raise DataError(f"{plain} does not exist; {base} has {depth} in {' '.join(there) or 'no language'}")
        files[code] = rows_of(file)
    return files


def aligned_rules(
    rows: Mapping[str, Iterator[Row]], where: str, max_depth: int | None, rejections: Rejections
) -> Iterator[ParallelSample]:
    """Join rows of several languages: theories by row and id, sentences and questions by position."""
    numbering = Numbering("ruletaker")
    for step in aligned(rows, where):
        versions = {code: read_theory(row, place, code) for code, (place, row) in step.items()}
        first = next(iter(versions.values()))
        for other in versions.values():
            if other.identity != first.identity and not first.alone:
                raise DataError(
                    f"{other.where}: has the theory {other.identity!r} where {first.where} has {first.identity!r}; "
                    "expected the same theories in the same order in every language"
                )
        group, before = numbering.start(first)
        if _same_counts(versions, group, rejections):
            yield from _joined(versions, (group, before), max_depth, rejections)


def _same_counts(versions: Mapping[str, TheoryText], group: str, rejections: Rejections) -> bool:
    counts = {
        "sentence": {code: len(theory.context) for code, theory in versions.items()},
        "question": {code: len(theory.questions) for code, theory in versions.items()},
    }
    for what, totals in counts.items():
        if len(set(totals.values())) > 1:
            by_language = ", ".join(f"{count} in {code}" for code, count in totals.items())
            where = next(iter(versions.values())).where
            rejections.add(where, f"{what} counts differ", f"{group} has {by_language}")
            return False
    return True


def _joined(
    versions: Mapping[str, TheoryText], numbered: tuple[str, int], max_depth: int | None, rejections: Rejections
) -> Iterator[ParallelSample]:
    group, before = numbered
    first = next(iter(versions.values()))
    contexts = {code: theory.context for code, theory in versions.items()}
    for place, asked in first.up_to(max_depth):
        others = {code: theory.questions[place - 1] for code, theory in versions.items()}
        labels = {code: one.label for code, one in others.items()}
        if len(set(labels.values())) > 1:
            rejections.add(f"{first.where}, question {place}", "labels differ", f"{group} has {labels}")
            continue
        texts = {code: one.text for code, one in others.items()}
        key = f"{group}-{before + place}"
        yield ParallelSample(
            key, group, "ruletaker", contexts, texts, asked.label, asked.depth, asked.meta, first.names
        )
