"""`xlprobe data generate | convert | show`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xlprobe.errors import DataError
from xlprobe.options import DebugOption, words
from xlprobe.stores import fetched, refuse_address

if TYPE_CHECKING:
    from xlprobe.samples.readers import Rejections
    from xlprobe.samples.types import ParallelSample

__all__ = ["register"]

SpecArgument = Annotated[
    str, typer.Argument(help="File or directory, PATH:FORMAT where it is not plain.", metavar="SAMPLES")
]
FileArgument = Annotated[
    Path, typer.Argument(help="File to write, one problem a line; .jsonl or .jsonl.gz.", metavar="OUT")
]
LanguagesOption = Annotated[str | None, typer.Option(help="Languages, such as 'en fr zh'. Default: all there are.")]
RangeHelp = "smallest and largest number, as '2-4', or one number."
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
_REJECTING = ("ruletaker", "leap_of_thought")


def generate(
    out: FileArgument,
    theories: Annotated[int, typer.Option(min=1, help="How many theories.")] = 100,
    questions: Annotated[int, typer.Option(min=1, help="How many questions about each.")] = 2,
    depth: Annotated[str, typer.Option(help="Proof depths, as '0 1', or with weights, as '0:3 1:1'.")] = "0 1",
    languages: LanguagesOption = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.")] = 0,
    split: Annotated[str | None, typer.Option(help="'train', 'validation' or 'test'; these share no theory.")] = None,
    entities: Annotated[str, typer.Option(help=f"Entities of a theory: {RangeHelp}")] = "2-4",
    facts: Annotated[str, typer.Option(help=f"Facts of a theory: {RangeHelp}")] = "3-6",
    rules: Annotated[str, typer.Option(help=f"Rules of a theory: {RangeHelp}")] = "1-3",
    conditions: Annotated[str, typer.Option(help=f"Conditions of a rule: {RangeHelp}")] = "1-2",
    kinds: Annotated[
        str, typer.Option(help="'attributes', 'relations' (attributes and relations), or both.")
    ] = "attributes relations",
    who: Annotated[str, typer.Option(help="'people', 'animals', or both.")] = "people animals",
    negation: Annotated[float, typer.Option(min=0, max=1, help="How much is negated, 0 (nothing) to 1.")] = 0.3,
    held_out_vocabulary: Annotated[
        bool, typer.Option("--held-out-vocabulary", help="The test split has words of its own; needs --split.")
    ] = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Generate parallel reasoning problems and write them to a file."""
    from xlprobe.languages import LANGUAGES
    from xlprobe.progress import progress
    from xlprobe.samples.readers import write_jsonl
    from xlprobe.samples.rulebase import generate as make

    _check_out(out)
    with progress("problems", theories * questions, show=not quiet) as advance:
        samples = make(
            theories=theories,
            questions=questions,
            depth=_depths(depth),
            languages=words(languages) or tuple(LANGUAGES),
            seed=seed,
            split=split,
            entities=_range("entities", entities),
            facts=_range("facts", facts),
            rules=_range("rules", rules),
            conditions=_range("conditions", conditions),
            kinds=words(kinds),
            who=words(who),
            negation=negation,
            held_out_vocabulary=held_out_vocabulary,
            advance=advance,
        )
    count = write_jsonl(samples, out)
    typer.echo(f"{count:,} problems in {' '.join(samples[0].languages)}: {out}")


def convert(
    samples: SpecArgument,
    out: FileArgument,
    languages: LanguagesOption = None,
    limit: Annotated[int | None, typer.Option(min=1, max=sys.maxsize, help="How many problems at most.")] = None,
    rejected: Annotated[
        Path | None,
        typer.Option(help="Write what was left out or is doubtful, with its place and reason, to this jsonl file."),
    ] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Read samples of any format and write them in the project's own."""
    from xlprobe.samples.readers import Rejections, write_jsonl

    _check_out(out)
    rejections = Rejections()
    read = islice(_read(samples, languages, rejections), limit)
    count = write_jsonl(_counted(read, quiet), out)
    typer.echo(f"{count:,} problems: {out}")
    if rejections.items:
        typer.echo(rejections.summary(), err=True)
    if rejected is not None:
        typer.echo(f"{_write_rejections(rejections, rejected):,} remarks: {rejected}")


def show(
    samples: Annotated[
        str,
        typer.Argument(
            help="'generated', or a file or directory, PATH:FORMAT where it is not plain.", metavar="SAMPLES"
        ),
    ] = "generated",
    languages: LanguagesOption = None,
    number: Annotated[int, typer.Option(min=1, max=2**31, help="Which problem, from 1.")] = 1,
    key: Annotated[str | None, typer.Option(help="The problem of this key instead.")] = None,
    depth: Annotated[int | None, typer.Option(min=0, help="Only problems of this proof depth.")] = None,
    seed: Annotated[int, typer.Option(help="Seed, where the problem is generated.")] = 0,
    width: Annotated[
        int | None, typer.Option(min=40, max=10_000, help="Width in characters; default: the terminal's.")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Show one problem in all of its languages side by side, with its proof where it is known."""
    from rich.console import Console

    from xlprobe.samples.preview import show as show_sample

    problems = _generated(languages, depth, seed, number) if samples == "generated" else _read(samples, languages)
    wanted = (one for one in problems if (depth is None or one.depth == depth) and (key is None or one.key == key))
    sample = next(islice(wanted, 0 if key is not None else number - 1, None), None)
    if sample is None:
        asked = f"the key {key!r}" if key is not None else f"number {number}"
        of_depth = "" if depth is None else f" of depth {depth}"
        raise DataError(f"{samples} has no problem{of_depth} with {asked}; ask for another, or look at its keys")
    show_sample(sample, console=Console(width=width))


def register(app: typer.Typer) -> None:
    """Add `data` and its commands to a command line."""
    data = typer.Typer(name="data", help="Generate, convert and show parallel problems.", no_args_is_help=True)
    for command in (generate, convert, show):
        data.command()(command)
    app.add_typer(data)


def _generated(languages: str | None, depth: int | None, seed: int, number: int) -> Iterable[ParallelSample]:
    from xlprobe.languages import LANGUAGES
    from xlprobe.samples.rulebase import generate as make

    depths = (0, 1, 2) if depth is None else depth
    return make(theories=number, questions=1, depth=depths, languages=words(languages) or tuple(LANGUAGES), seed=seed)


def _read(spec: str, languages: str | None, rejections: Rejections | None = None) -> Iterator[ParallelSample]:
    from xlprobe.samples.readers import guess_format, parse_spec, read
    from xlprobe.samples.types import ParallelSample

    path, form = parse_spec(spec)
    path = fetched(path, DataError)
    options: dict[str, Any] = {}
    if rejections is not None and path.exists() and (form or guess_format(path)) in _REJECTING:
        options["rejections"] = rejections
    for sample in read(path, format=form, languages=words(languages) or None, **options):
        if not isinstance(sample, ParallelSample):
            raise DataError(
                f"{spec} holds sentences that mix languages; only parallel problems can be written and shown here"
            )
        yield sample


def _counted(samples: Iterable[ParallelSample], quiet: bool) -> Iterator[ParallelSample]:
    """Pass samples on and show how many there were, since nobody knows how many there will be."""
    from tqdm.auto import tqdm

    # disable=None: a bar on terminals only.
    yield from tqdm(samples, desc="problems", unit="", disable=True if quiet else None)


def _write_rejections(rejections: Rejections, path: Path) -> int:
    import json
    from dataclasses import asdict

    from xlprobe.files import write_atomically

    text = "".join(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in rejections.items)
    write_atomically(path, text)
    return len(rejections.items)


def _check_out(out: Path) -> None:
    refuse_address(out, DataError)
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise DataError(f"got the file {out}; expected a name that ends in .jsonl or .jsonl.gz")


def _range(name: str, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", text)
    if match is None:
        raise DataError(f"got --{name} {text!r}; expected a number or two, such as 3 or 2-4")
    return int(match[1]), int(match[2] or match[1])


def _depths(text: str) -> Any:
    depths = words(text)
    if depths and all(re.fullmatch(r"\d+", word) for word in depths):
        return tuple(int(word) for word in depths)
    if depths and all(re.fullmatch(r"\d+:\d+(\.\d+)?", word) for word in depths):
        return {int(depth): float(weight) for depth, weight in (word.split(":") for word in depths)}
    raise DataError(
        f"got --depth {text!r}; expected depths, such as '0 1 2', or each with its weight, such as '0:3 1:1'"
    )
