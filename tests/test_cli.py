"""The command line as a user meets it: help, errors in one line, and the main job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from xlprobe import Results, save
from xlprobe.cli import app, run
from xlprobe.errors import CheckpointError
from xlprobe.samples.readers import write_jsonl

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def saved(tiny, tiny_checkpoints, tmp_path):
    """A tiny checkpoint and its problems on disk."""
    checkpoint = save(tiny_checkpoints("bert", "ForSequenceClassification"), tmp_path / "tiny")
    write_jsonl(tiny.problems(6, 2), tmp_path / "problems.jsonl")
    return ["--checkpoint", str(checkpoint), "--samples", str(tmp_path / "problems.jsonl"), "--languages", "en fr zh"]


def test_the_report_writes_table_manifest_figures_and_page(saved, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        run(app, ["report", *saved, "--metrics", "js_stability,instability,mass_lift,correct", "--out", str(out)]) == 0
    )
    said = capsys.readouterr().out
    assert f"open {out / 'report.html'}" in said
    results = Results.load(out)
    assert {"js_stability", "mass_lift", "correct"} <= set(results.unique("metric"))
    assert json.loads((out / "manifest.json").read_text())["data"]["samples"] == 12
    pdfs = sorted(path.stem for path in out.glob("*.pdf"))
    assert len(pdfs) >= 3
    for stem in pdfs:
        assert all((out / f"{stem}.{kind}").stat().st_size > 0 for kind in ("svg", "png", "csv"))
    page = (out / "report.html").read_text()
    assert "<html" in page
    assert not [path for path in out.iterdir() if path.name.startswith(".")]

    # Redrawing needs the table only, and gives the same figures.
    again = tmp_path / "again"
    assert run(app, ["report", "--results", str(out), "--out", str(again)]) == 0
    for stem in pdfs:
        for kind in ("pdf", "svg", "png", "csv"):
            assert (again / f"{stem}.{kind}").read_bytes() == (out / f"{stem}.{kind}").read_bytes(), f"{stem}.{kind}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--languages", "en xx"], "exists in en fr zh, not in 'xx'"),
        (["--languages", "en x1"], "got the language 'x1'; expected a code"),
        (["--languages", "en"], "expected at least two"),
        (["--checkpoint", "bundled:none"], "unknown checkpoint 'bundled:none'"),
        (["--checkpoint", "/no/such/place", "--limit", "2"], "there is no such directory"),
        (["--samples", "/no/such/file"], "does not exist"),
        (["--samples", "EMPTY"], "is empty"),
        (["--out", "FILE/figures"], "cannot write"),
        (["--results", "/no/such/table"], "cannot read the table"),
        (["--pairs", "en-fr", "--languages", "en zh"], "not among the languages"),
        (["--metrics", "nonsense"], "got the metrics"),
    ],
)
def test_bad_input_is_one_clear_line_and_a_failure(arguments, message, saved, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").touch()
    (tmp_path / "FILE").touch()
    given = dict(zip(saved[::2], saved[1::2], strict=True)) | dict(zip(arguments[::2], arguments[1::2], strict=True))
    if "--results" in arguments:
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    flat = [part for pair in given.items() for part in pair]
    assert run(app, ["report", *flat]) == 1
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in said.err


def test_long_texts_are_measured_some_queries_at_a_time(saved, tmp_path, capsys):
    asked = [*saved, "--no-effects", "--metrics", "mass_lift,entropy,attention"]
    assert run(app, ["report", *asked, "--queries-at-once", "5", "--out", str(tmp_path / "parts")]) == 0
    assert run(app, ["measure", *asked, "--out", str(tmp_path / "whole")]) == 0
    parts, whole = (Results.load(tmp_path / out).to_frame() for out in ("parts", "whole"))
    lift = [frame[(frame.metric == "mass_lift") & frame.value.notna()].value for frame in (parts, whole)]
    assert len(lift[0])
    assert sorted(lift[0]) == pytest.approx(sorted(lift[1]), abs=1e-4)
    assert parts[parts.metric == "entropy"].reason.str.contains("queries_at_once").all()
    assert (tmp_path / "whole" / "patterns.npz").exists()
    assert not [path.name for path in (tmp_path / "parts").iterdir() if path.name in ("patterns.npz", "explorer.html")]
    assert run(app, ["measure", *asked, "--queries-at-once", "0"]) == 2


def test_debug_shows_the_traceback():
    from xlprobe.errors import DataError

    with pytest.raises(DataError):
        run(app, ["report", "--languages", "en xx", "--debug"])


def test_an_unknown_option_is_a_failure(capsys):
    assert run(app, ["report", "--colour", "red"]) == 2
    assert "No such option" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["measure", "report"])
def test_an_interrupted_run_leaves_no_table(saved, tiny, tmp_path, command):
    out = tmp_path / "out"
    write_jsonl(tiny.problems(300, 2), tmp_path / "problems.jsonl")  # enough to be in the middle of
    asked = [sys.executable, "-m", "xlprobe", command, *saved, "--out", str(out), "--batch-size", "1"]
    with subprocess.Popen(
        asked, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as process:
        # The writer's temporary file tells that the measurement is under way.
        deadline = time.monotonic() + 120
        while not list(out.glob(".results.parquet.*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("error", [CheckpointError, ValueError])
def test_an_interrupt_that_a_library_turned_into_an_error_is_an_interrupt(error, capsys):
    application = typer.Typer()

    @application.command()
    def read(ended: bool = False) -> None:
        try:
            signal.raise_signal(signal.SIGTERM if ended else signal.SIGINT)
        except KeyboardInterrupt:
            raise error("the file is damaged") from None

    for arguments, status, word in (([], 130, "interrupted;"), (["--ended"], 143, "ended;")):
        assert run(application, arguments) == status
        said = capsys.readouterr().err
        assert said.startswith(word)
        assert said.count("\n") == 1


@pytest.mark.parametrize("module", ["xlprobe", "xlprobe.report"])
def test_help_reads_without_loading_torch(module):
    code = f"""
import runpy, sys
sys.argv = ["x", "--help"]
try:
    runpy.run_module({module!r}, run_name="__main__")
except SystemExit:
    pass
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_version(capsys):
    from xlprobe import __version__

    assert run(app, ["--version"]) == 0
    assert capsys.readouterr().out == f"xlprobe {__version__}\n"


RECIPE = "recipes/bundled_baseline.toml"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ablate", RECIPE, "--seeds", "x"], "got --seeds 'x'; expected whole numbers"),
        (["ablate", RECIPE, "--seeds", "-1"], "got --seeds '-1'"),
        (["ablate", RECIPE, "--p-masks", "x"], "got --p-masks 'x'; expected numbers from 0 to 1"),
        (["ablate", RECIPE, "--p-masks", "nan 0.5"], "got --p-masks 'nan 0.5'"),
        (["ablate", RECIPE, "--p-masks", ""], "expected at least one number"),
        (["evaluate", "-c", "bundled:encoder", "--depths", "x"], "got --depths 'x'"),
        (["evaluate", "-c", "bundled:encoder", "--trained-on", "xx"], "got --trained-on 'xx'"),
        (["evaluate", "-c", "bundled:encoder", "--labels", "a,,b"], "got --labels 'a,,b'"),
        (["finetune", RECIPE, "--device", "x"], "got device='x'; expected 'cpu', or 'auto'"),
        (["report", "--device", "nowhere"], "got device='nowhere'"),
        (["data", "show", "/no/such/file"], "does not exist"),
    ],
)
def test_options_are_checked(arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run(app, arguments) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in line


@pytest.mark.parametrize("arguments", [["finetune", RECIPE, "--seed", "-1"], ["report", "--seed", str(2**32)]])
def test_seeds_that_no_generator_takes_are_refused(arguments, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run(app, arguments) == 2
    assert "Invalid value for '--seed'" in capsys.readouterr().err


def test_checkpoints_of_one_name_get_names_of_their_own(saved, tmp_path, capsys):
    spec, *rest = saved[1], *saved[2:]
    out = tmp_path / "out"
    asked = [*rest, "--metrics", "mass_lift", "--out", str(out)]
    assert run(app, ["measure", "-c", spec, "-c", spec, *asked]) == 1
    said = capsys.readouterr().err
    assert "got several checkpoints named" in said
    assert "--checkpoint NAME=SPEC" in said
    assert run(app, ["measure", "-c", f"one={spec}", "-c", f"two={spec}", *asked]) == 0
    assert set(Results.load(out).unique("checkpoint")) == {"one", "two"}


def test_how_a_checkpoint_reads_can_be_said(saved, tmp_path, capsys):
    asked = [*saved, "--metrics", "mass_lift"]
    tables = []
    for number, more in enumerate(([], ["--token-types", "segments"], ["--layout", "method", "--prefix", "is is "])):
        out = tmp_path / str(number)
        assert run(app, ["measure", *asked, *more, "--out", str(out)]) == 0
        tables.append(Results.load(out).to_frame().value)
    assert len({len(table) for table in tables}) == 1
    assert not tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert run(app, ["measure", *asked, "--layout", "nonsense", "--out", str(tmp_path)]) == 1
    assert "got layout='nonsense'" in capsys.readouterr().err


def test_what_nobody_foresaw_is_one_line_too(monkeypatch, capsys):
    def fail(*_):
        raise ZeroDivisionError("of\nits own")

    monkeypatch.setattr("xlprobe.report.build.build", fail)
    assert run(app, ["report"]) == 70
    said = capsys.readouterr().err
    assert said.startswith("error: ZeroDivisionError: of its own. This is a fault of xlprobe")
    assert "Traceback" not in said
    with pytest.raises(ZeroDivisionError):
        run(app, ["report", "--debug"])
