"""`python -m xlprobe.report` measures, draws and writes the page; it is `xlprobe report`."""

import sys

import typer

from xlprobe.cli import report, run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command(name="python -m xlprobe.report")(report)

if __name__ == "__main__":
    sys.exit(run(app))
