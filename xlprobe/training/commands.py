"""`xlprobe pretrain | finetune | evaluate | ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xlprobe import options
from xlprobe.errors import DataError
from xlprobe.languages import get_language

if TYPE_CHECKING:
    from xlprobe.results import Results

__all__ = ["register"]

RecipeArgument = Annotated[Path, typer.Argument(help="A TOML recipe, such as those in recipes/.", metavar="RECIPE")]
OutOption = Annotated[
    Path,
    typer.Option(
        help="Directory of the run; a run that was killed goes on from there.", callback=options.own_directory
    ),
]
DataOption = Annotated[Path | None, typer.Option(help="Directory that the recipe's relative paths are looked up in.")]
BaseOption = Annotated[
    str | None, typer.Option(help="Start from this checkpoint instead of the recipe's.", metavar="SPEC")
]
StepsOption = Annotated[int | None, typer.Option(min=1, help="Train for this many steps instead.")]
SeedOption = Annotated[int | None, typer.Option(min=0, max=options.LARGEST_SEED, help="Seed instead of the recipe's.")]
RateOption = Annotated[float | None, typer.Option(min=0, help="Learning rate instead of the recipe's.")]
QueryOption = Annotated[
    Path | None, typer.Option(help="Pre-trained Q_cross, made by xlprobe pretrain.", metavar="FILE")
]
CheckpointsOption = Annotated[
    list[str],
    typer.Option("--checkpoint", "-c", help="Checkpoint, as SPEC or NAME=SPEC; repeat for several.", metavar="SPEC"),
]
DeviceOption = Annotated[str | None, typer.Option(help="'cpu', or 'auto' for a GPU where there is one.")]


def pretrain(
    recipe: RecipeArgument,
    out: OutOption = Path("runs/pretrain"),
    data: DataOption = None,
    base: BaseOption = None,
    steps: StepsOption = None,
    learning_rate: RateOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Pre-train Q_cross by masked-language modelling on code-switched pairs; writes query.safetensors."""
    from xlprobe.training.recipes import read_recipe
    from xlprobe.training.runs import run_pretrain

    read = read_recipe(recipe, base=base, steps=steps, learning_rate=learning_rate, seed=seed, device=device)
    typer.echo(f"Q_cross: {run_pretrain(read, out, data)}")


def finetune(
    recipe: RecipeArgument,
    out: OutOption = Path("runs/finetune"),
    data: DataOption = None,
    base: BaseOption = None,
    query: QueryOption = None,
    learning_rate: RateOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Fine-tune a classifier, baseline or cross-query, and show its accuracy on the validation problems."""
    from xlprobe.training.recipes import read_recipe
    from xlprobe.training.runs import run_finetune

    read = read_recipe(recipe, base=base, learning_rate=learning_rate, seed=seed, device=device)
    checkpoint = run_finetune(read, out, data, query)
    typer.echo(f"{checkpoint.name}: {out}")


def evaluate(
    checkpoint: CheckpointsOption,
    samples: options.SamplesOption = "generated",
    languages: options.LanguagesOption = "en fr de es ru ar fa zh",
    pairs: Annotated[str, typer.Option(help="Context-question pairs, such as 'en-*, *-en'.")] = "*-*",
    limit: options.LimitOption = None,
    depths: Annotated[str | None, typer.Option(help="Only problems of these proof depths, such as '0 1'.")] = None,
    trained_on: Annotated[str, typer.Option(help="Pairs seen in training; every other cell is marked zero-shot.")] = "",
    by_depth: Annotated[bool, typer.Option("--by-depth", help="One row per proof depth.")] = False,
    out: Annotated[
        Path, typer.Option(help="Directory or address for results.parquet and accuracy.csv.", callback=options.place)
    ] = Path("results"),
    batch_size: options.BatchSizeOption = 64,
    seed: options.SeedOption = 0,
    device: options.DeviceOption = "cpu",
    token_types: options.TokenTypesOption = None,
    layout: options.LayoutOption = None,
    prefix: options.PrefixOption = None,
    template: options.TemplateOption = None,
    answers: options.AnswersOption = None,
    labels: options.LabelsOption = None,
    shard: options.ShardOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Accuracy for every pair of context and question language, with intervals and baselines."""
    asked = dict(locals())
    from xlprobe.checkpoints.named import Reading, load_named
    from xlprobe.measuring.job_array import command_run
    from xlprobe.results import Results
    from xlprobe.training.evaluation import evaluate as answers_of
    from xlprobe.training.sources import evaluation_problems

    seen = _trained_on(trained_on)
    problems = evaluation_problems(samples, languages, limit, depths, seed)
    asking = options.template_of(template), options.class_names(answers, "--answers")
    reading = Reading(token_types, layout, prefix, *asking, options.class_names(labels))
    checkpoints = load_named(checkpoint, device, reading)
    more: dict[str, Any] = {"pairs": pairs, "batch_size": batch_size, "show_progress": True, "out": out, "shard": shard}
    with command_run("evaluate", asked) as run:
        results = Results.concat([answers_of(one, problems, **more) for one in checkpoints])
        if run.is_whole:
            results.save(run.directory)
            known = {sample.key: int(sample.label or 0) for sample in problems}
            run.said = _accuracy(results, run.directory, by_depth=by_depth, trained_on=seen, labels=known)


def _accuracy(results: Results, out: Path, **how: Any) -> str:
    """Write the table of accuracies, and return it as it is shown."""
    from xlprobe.files import table_text, write_atomically
    from xlprobe.training.evaluation import accuracy_table

    table = accuracy_table(results, **how)
    write_atomically(out / "accuracy.csv", table_text(table, float_format="%.4f"))
    return str(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def ablate(
    recipe: RecipeArgument,
    out: OutOption = Path("runs/ablation"),
    data: DataOption = None,
    base: BaseOption = None,
    query: QueryOption = None,
    seeds: Annotated[str, typer.Option(help="Seeds, such as '0 1 2'.")] = "0",
    p_masks: Annotated[str, typer.Option(help="Masking probabilities of the interfering scheme.")] = "0.3 0.5 0.7",
    cells: Annotated[
        str | None, typer.Option(help="Only these cells of the grid, by name, separated by commas.")
    ] = None,
    pairs: Annotated[str, typer.Option(help="Pairs to evaluate on.")] = "en-en, en-*, *-en",
    steps: StepsOption = None,
    device: DeviceOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Train and evaluate the whole grid of mechanisms and masks; goes on where it was interrupted."""
    from xlprobe.training.ablation import ablate as run
    from xlprobe.training.recipes import read_recipe

    table = run(
        read_recipe(recipe, base=base, device=device, scale_to=steps),
        out,
        data=data,
        query=query,
        seeds=options.seeds("--seeds", seeds),
        p_masks=options.numbers("--p-masks", p_masks),
        only=None if cells is None else [name.strip() for name in cells.split(",")],
        pairs=pairs,
    )
    typer.echo(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def _trained_on(text: str) -> list[str]:
    """Return the pairs of a text; raise `DataError` for what is none."""
    for pair in options.words(text):
        sides = pair.split("-")
        if len(sides) != 2:
            raise DataError(f"got --trained-on {pair!r:.40}; expected context-question pairs, such as 'en-en en-fr'")
        for code in sides:
            get_language(code)
    return list(options.words(text))


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (pretrain, finetune, evaluate, ablate):
        app.command()(command)
