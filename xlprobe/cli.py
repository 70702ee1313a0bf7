"""The command line: `xlprobe report | measure | data | pretrain | finetune | evaluate | ...`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xlprobe.cost import commands as cost_commands
from xlprobe.errors import XlprobeError
from xlprobe.interrupts import signals_interrupt
from xlprobe.metrics.base import documented
from xlprobe.options import (
    AnswersOption,
    BatchSizeOption,
    CheckpointOption,
    DebugOption,
    DeviceOption,
    EffectsOption,
    LabelsOption,
    LanguagesOption,
    LayoutOption,
    LimitOption,
    MetricsOption,
    OutOption,
    PairsOption,
    PartOption,
    PrefixOption,
    QueriesAtOnceOption,
    SamplesOption,
    SeedOption,
    ShardOption,
    TemplateOption,
    TokenTypesOption,
    TooLongOption,
    class_names,
    place,
    template_of,
    words,
)
from xlprobe.samples import commands as sample_commands
from xlprobe.stores import address_of, said, staged
from xlprobe.training import commands as training_commands
from xlprobe.training import study_commands

if TYPE_CHECKING:
    from xlprobe.report.options import ReportOptions

__all__ = ["app", "main", "run"]

INTERRUPTED, ENDED = 130, 143
"""Exit status after Ctrl-C and after SIGTERM, as shells have it."""
BUG = 70
"""Exit status after an error that nobody foresaw (sysexits.h: internal software error)."""

app = typer.Typer(
    name="xlprobe",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        from xlprobe import __version__

        typer.echo(f"xlprobe {__version__}")
        raise typer.Exit


@app.callback()
def xlprobe(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Look inside multilingual encoders when they reason across languages."""


@app.command()
def report(
    checkpoint: CheckpointOption = None,
    samples: SamplesOption = "generated",
    languages: LanguagesOption = "en fr ar zh",
    pairs: PairsOption = None,
    limit: LimitOption = None,
    metrics: MetricsOption = "figures",
    effects: EffectsOption = True,
    results: Annotated[
        Path | None,
        typer.Option(help="Draw from this table (directory, file or address); no model is loaded.", metavar="TABLE"),
    ] = None,
    out: OutOption = Path("report"),
    figures: Annotated[str, typer.Option(help="'main', or 'all': those of the appendix too.")] = "main",
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = 32,
    queries_at_once: QueriesAtOnceOption = None,
    too_long: TooLongOption = "error",
    token_types: TokenTypesOption = None,
    layout: LayoutOption = None,
    prefix: PrefixOption = None,
    part: PartOption = None,
    template: TemplateOption = None,
    answers: AnswersOption = None,
    labels: LabelsOption = None,
    debug: DebugOption = False,
) -> None:
    """Measure checkpoints on parallel problems, draw the figures, and write one page about them.

    Without options: the bundled checkpoints on generated problems, offline, on the CPU, in a few minutes.
    """
    asked = dict(locals())
    from xlprobe.measuring.processes import refuse_processes
    from xlprobe.report.build import build

    refuse_processes("report", "measure with all of them, then draw with one: xlprobe report --results DIRECTORY")
    build(_options(asked))


def _options(asked: dict[str, Any]) -> ReportOptions:
    """Return what was typed as the report's options."""
    from xlprobe.report.options import ReportOptions

    given = {name: value for name, value in asked.items() if name not in ("checkpoint", "debug")}
    return ReportOptions(
        **given
        | {
            "checkpoints": tuple(asked["checkpoint"] or ()),
            "languages": words(asked["languages"]),
            "template": template_of(asked["template"]),
            "answers": class_names(asked["answers"], "--answers"),
            "labels": class_names(asked["labels"]),
        }
    )


@app.command()
def measure(
    checkpoint: CheckpointOption = None,
    samples: SamplesOption = "generated",
    languages: LanguagesOption = "en fr ar zh",
    pairs: PairsOption = None,
    limit: LimitOption = None,
    metrics: MetricsOption = "figures",
    effects: EffectsOption = True,
    out: OutOption = Path("results"),
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    batch_size: BatchSizeOption = 32,
    queries_at_once: QueriesAtOnceOption = None,
    too_long: TooLongOption = "error",
    token_types: TokenTypesOption = None,
    layout: LayoutOption = None,
    prefix: PrefixOption = None,
    part: PartOption = None,
    template: TemplateOption = None,
    answers: AnswersOption = None,
    labels: LabelsOption = None,
    shard: ShardOption = None,
    debug: DebugOption = False,
) -> None:
    """Measure checkpoints on parallel problems and write the table only; goes on where the same command was stopped."""
    asked = dict(locals())
    from xlprobe.measuring.job_array import command_run
    from xlprobe.report.measuring import measured

    with command_run("measure", asked) as run:
        run.said = f"{len(measured(_options(asked))):,} rows in {said(out / 'results.parquet')}"


@app.command()
def merge(
    directory: Annotated[Path, typer.Argument(help="The --out of measure or evaluate with --shard.", callback=place)],
    debug: DebugOption = False,
) -> None:
    """Put together what jobs with --shard have done, once all of them are; the table is that of a single process."""
    from xlprobe.measuring.job_array import MERGE, forget_parts, recorded

    out = directory if address_of(directory) else directory.resolve()
    with staged(out) as made:
        about = recorded(made.path)
        command: Any = measure
        if about["command"] == "evaluate":
            from xlprobe.training.commands import evaluate as command
        with chdir(about["from"]) if Path(about["from"]).is_dir() else nullcontext():  # where relative paths begin
            command(**about["options"], out=out, shard=MERGE)
        forget_parts(made.path)


@app.command(name="metrics")
def list_metrics(
    which: Annotated[str, typer.Argument(help="As --metrics of measure.")] = "all",
    markdown: Annotated[bool, typer.Option("--markdown", help="The table of the documentation.")] = False,
    debug: DebugOption = False,
) -> None:
    """List metrics: name, kind, range, the direction that is better, and what it is called in figures."""
    from xlprobe.measuring.inputs import metrics_of

    chosen = metrics_of(which)
    if markdown:
        typer.echo(documented(chosen))
        return
    for one in chosen:
        better = "" if one.direction == "none" else one.direction
        typer.echo(f"{one.name:<28}{one.kind:<14}{one.span:<12}{better:<6}{one.within:<9}{one.label}")


for _commands in (sample_commands, training_commands, study_commands, cost_commands):
    _commands.register(app)


def run(application: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit status: errors are one line, unless --debug asks for more."""
    given = sys.argv[1:] if arguments is None else arguments
    # Checkpoints that are not found must fail in a moment, and nothing is sent anywhere that was not asked for.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # A shell that starts a command in the background has it ignore Ctrl-C.
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    with signals_interrupt(signal.SIGTERM, *([] if ignored else [signal.SIGINT])) as came:
        return _run(application, given, came)


def _run(application: typer.Typer, given: list[str], came: list[int]) -> int:
    try:
        # Typer returns the status of an exit or an interrupt, and else what the command returns, which is nothing.
        status = application(given, standalone_mode=False) or 0
    except XlprobeError as error:
        if not came:
            return _failed(given, error, str(error), 1)
        status = INTERRUPTED  # in the middle of a library's C code an interrupt comes out as an error of another kind
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except MemoryError as error:
        return _failed(given, error, "memory is full; ask for a smaller --batch-size or fewer problems (--limit)", 1)
    except BrokenPipeError:
        # Whoever read the output, such as head, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # click's own errors (unknown option, bad value) know how to show themselves.
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            return int(error.exit_code)
        if not came:
            what = f"{type(error).__name__}: {' '.join(str(error).split()):.300}"
            what += ". This is a fault of xlprobe; --debug shows where, please report it"
            return _failed(given, error, what, BUG)
        status = INTERRUPTED
    if status == INTERRUPTED:
        word, status = ("ended", ENDED) if signal.SIGTERM in came else ("interrupted", INTERRUPTED)
        print(f"{word}; nothing half-written was left behind, and the same command goes on", file=sys.stderr)
    return status


def _failed(given: list[str], error: BaseException, text: str, status: int) -> int:
    if "--debug" in given:
        raise error
    print(f"error: {text}", file=sys.stderr)
    return status


def main() -> None:
    """Entry point of `xlprobe` and `python -m xlprobe`."""
    sys.exit(run(app))
