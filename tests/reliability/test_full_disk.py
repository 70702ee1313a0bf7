"""A disk that is full, or a directory nobody may write to: one line with the path, and what was there stays whole."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from xlprobe import save

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file over the limit is an error to whoever writes it
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["xlprobe", *sys.argv[2:]]
from xlprobe.cli import main
main()
"""


def limited(size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose files may hold at most `size` bytes each."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(size), *arguments],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


def one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr[-2000:]


@pytest.fixture(scope="module")
def checkpoint(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(save(tiny.checkpoint("bert", "ForSequenceClassification"), tmp_path_factory.mktemp("saved") / "tiny"))


RECIPE = """
routine = "finetune"
base = "{base}"
tuning = "full"
settings = {{steps = 4, batch_size = 4, device = "cpu", save_every = 2}}
stages = [{{source = "generated", theories = 20, questions = 1, languages = ["en"]}}]
"""
COMMANDS = {
    "measure": ["measure", "-c", "CHECKPOINT", "--limit", "8", "--languages", "en fr", "--metrics", "js_stability"],
    "evaluate": ["evaluate", "-c", "CHECKPOINT", "--limit", "8", "--languages", "en fr"],
    "report": ["report", "-c", "CHECKPOINT", "--limit", "4", "--languages", "en fr", "--metrics", "js_stability"],
    "finetune": ["finetune", "RECIPE"],
    "data": ["data", "generate", "--theories", "400", "--languages", "en fr"],
}


ENDINGS = (".parquet", ".html", ".jsonl", ".svg", ".safetensors")


@pytest.mark.parametrize(
    "command", [name if name == "measure" else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]
)
def test_a_full_disk_is_one_line_and_leaves_nothing(command: str, checkpoint: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(base=checkpoint))
    given = {"CHECKPOINT": str(checkpoint), "RECIPE": str(recipe)}
    arguments = [given.get(part, part) for part in COMMANDS[command]]
    out = tmp_path / ("out" if command != "data" else "out.jsonl")
    place = [str(out)] if command == "data" else ["--out", str(out)]
    done = limited(700, *arguments, *place)
    one_line(done)
    assert str(tmp_path) in done.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert [path.name for path in left if path.suffix in ENDINGS] == []


@pytest.mark.slow
def test_an_older_table_survives_a_full_disk(checkpoint: Path, tmp_path: Path) -> None:
    arguments = [str(checkpoint) if part == "CHECKPOINT" else part for part in COMMANDS["measure"]]
    whole = limited(resource.RLIM_INFINITY, *arguments, "--out", str(tmp_path))
    assert whole.returncode == 0, whole.stderr[-2000:]
    before = (tmp_path / "results.parquet").read_bytes()
    one_line(limited(700, *[*arguments, "--seed", "1"], "--out", str(tmp_path)))
    assert (tmp_path / "results.parquet").read_bytes() == before
