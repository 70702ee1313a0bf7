"""`xlprobe cost SPEC|CONFIG`."""

from __future__ import annotations

from typing import Annotated

import typer

from xlprobe.options import DebugOption

__all__ = ["register"]


def cost(
    spec: Annotated[
        str,
        typer.Argument(
            help="mbert, xlm-r-base, xlm-r-large, xlm-r-xl, a config.json or its directory, or a Hub id; no weights "
            "are needed.",
            metavar="SPEC|CONFIG",
        ),
    ],
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences of a batch.")] = 32,
    length: Annotated[int, typer.Option(min=1, help="Tokens of a sequence.")] = 128,
    half: Annotated[bool, typer.Option("--bf16", help="Count two bytes to a value instead of four.")] = False,
    measure: Annotated[
        bool, typer.Option(help="Also run an encoder of these sizes, with random weights, if it fits this machine.")
    ] = True,
    measured_batch: Annotated[int, typer.Option(min=1, help="Sequences of the batch that is run.")] = 4,
    debug: DebugOption = False,
) -> None:
    """Show what Q_cross adds to an encoder: parameters, arithmetic, memory, and, where it fits, measured time."""
    from xlprobe.cost.shapes import read_shape
    from xlprobe.cost.tables import cost_text

    shape = read_shape(spec)
    typer.echo(cost_text(shape, batch_size, length, 2 if half else 4))
    if not measure:
        return
    from xlprobe.cost.timing import fits, run_costs, runs_text

    reason = fits(shape, measured_batch, length)
    if reason is not None:
        typer.echo(f"\nnot measured: {reason}")
        return
    typer.echo(runs_text(run_costs(shape, measured_batch, length), measured_batch, length))


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(cost)
