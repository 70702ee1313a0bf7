"""`xlprobe study run | status`: long trainings that go on in the background and can be killed at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from xlprobe.errors import TrainingError
from xlprobe.options import DebugOption, own_directory
from xlprobe.training.commands import DataOption

__all__ = ["register"]

study = typer.Typer(help="Train the runs of a study one after another.", no_args_is_help=True)

StudyArgument = Annotated[
    Path, typer.Argument(help="A TOML file of runs, such as studies/paper.toml.", metavar="STUDY")
]
OutOption = Annotated[
    Path,
    typer.Option(help="Directory of the runs; what was interrupted goes on from there.", callback=own_directory),
]
DeviceOption = Annotated[str | None, typer.Option(help="'cpu', or 'cuda', instead of the recipes'.")]


@study.command()
def run(
    study: StudyArgument,
    out: OutOption = Path("runs"),
    data: DataOption = None,
    archives: Annotated[
        Path | None, typer.Option(help="Where finished runs are kept small. Default: runs/ beside STUDY.")
    ] = None,
    device: DeviceOption = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so long; runs that would not end in time wait.")
    ] = None,
    nice: Annotated[int, typer.Option(min=0, max=19, help="How far to stand back behind other programs.")] = 10,
    commit: Annotated[
        str | None, typer.Option(help="Run the code and the recipes of this commit, from a clone below OUT.")
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Go on after this command ends; see OUT/log.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Train what is not finished; the same command goes on where it was interrupted, to the same weights."""
    archives = archives or study.parent / "runs"
    if commit is not None or background:
        options = ["--out", out, "--archives", archives, "--nice", nice]
        for name, value in (("--data", data), ("--device", device), ("--minutes", minutes)):
            options += [] if value is None else [name, value]
        arguments = [str(value.resolve() if isinstance(value, Path) else value) for value in options]
        typer.echo(_elsewhere(study, arguments, out, commit, background))
        return
    from xlprobe.training.queue import QueueOptions, run_queue
    from xlprobe.training.study import read_study

    if hasattr(os, "nice"):
        os.nice(max(0, nice - os.nice(0)))
    run_queue(read_study(study, _device(device)), QueueOptions(out, archives, data, minutes, typer.echo))


def _device(device: str | None) -> str | None:
    """Return what recipes call a device; raises `TrainingError` where there is none of it."""
    if device not in (None, "cpu", "cuda"):
        raise TrainingError(f"got the device {device!r}; expected cpu or cuda")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise TrainingError("got the device cuda, which this machine or this PyTorch does not have; use cpu")
        return "auto"
    return device


def _elsewhere(study: Path, options: list[str], out: Path, commit: str | None, background: bool) -> str:
    """Start the command in a process of its own, with the code of a commit; return what to tell."""
    out.mkdir(parents=True, exist_ok=True)
    study, environment, place = study.resolve(), dict(os.environ), Path.cwd()
    if commit is not None:
        place, study = _clone(study, out.resolve() / "source", commit)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(place), environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "xlprobe", "study", "run", str(study), *options]
    if not background:
        if status := subprocess.run(command, env=environment, cwd=place, check=False).returncode:
            raise TrainingError(f"the queue in {place} ended with status {status}; it says why above")
        return "the queue ended"
    with (out / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return (
        f"process {process.pid} works in {out}; it says what it does in {out / 'log'}. To stop it: kill {process.pid}"
    )


def _clone(study: Path, place: Path, commit: str) -> tuple[Path, Path]:
    """Clone the project that a study is in at a commit; return the clone and the study in it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise TrainingError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    project = Path(git("-C", str(study.parent), "rev-parse", "--show-toplevel"))
    wanted = git("-C", str(project), "rev-parse", "--verify", f"{commit}^{{commit}}")
    if not place.is_dir():
        git("clone", "--quiet", "--no-checkout", str(project), str(place))
    if git("-C", str(place), "rev-parse", "HEAD") != wanted or not any(place.glob("*.toml")):
        git("-C", str(place), "fetch", "--quiet", "origin")
        git("-C", str(place), "checkout", "--quiet", "--detach", wanted)
    return place, place / study.relative_to(project.resolve())


@study.command()
def status(study: StudyArgument, out: OutOption = Path("runs"), debug: DebugOption = False) -> None:
    """Show how far each run is, and when it may end."""
    from xlprobe.training.queue import is_working
    from xlprobe.training.standing import standing_table
    from xlprobe.training.study import read_study

    typer.echo(standing_table(read_study(study), out, is_working(out)).to_string(index=False))


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(study, name="study")
