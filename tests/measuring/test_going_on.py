"""A run goes on where it was stopped, holds its directory alone, and leaves nothing behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlprobe import measure, save
from xlprobe.errors import ResultsError
from xlprobe.measuring import attention, checkpoint_run
from xlprobe.measuring.lock import locked
from xlprobe.results import Results
from xlprobe.results.patterns import read_patterns

ROOT = Path(__file__).resolve().parents[2]
METRICS = ["js_stability", "instability", "head_rsa", "correct", "cka", "head_importance"]
OPTIONS: dict[str, Any] = {"pairs": "en-fr", "metrics": METRICS, "batch_size": 8}


@pytest.fixture
def checkpoint(tiny: Any) -> Any:
    return tiny.checkpoint("bert", "ForSequenceClassification")


def rows(results: Results) -> Any:
    frame = results.to_frame()
    frame = frame.astype({name: str for name in frame if name != "value"})
    return frame.sort_values([name for name in frame if name != "value"], ignore_index=True)


@contextmanager
def stopped_midway(monkeypatch: Any) -> Iterator[None]:
    """Interrupt the measuring within when the sixth layer comes in."""
    done = []
    update = attention.AttentionReader.update

    def stop(self: Any, capture: Any) -> None:
        done.append(capture.layer)
        if len(done) > 5:
            raise KeyboardInterrupt
        update(self, capture)

    with monkeypatch.context() as changed, pytest.raises(KeyboardInterrupt):
        changed.setattr(attention.AttentionReader, "update", stop)
        yield


@pytest.mark.usefixtures("small_shards")
def test_a_stopped_run_goes_on(tiny: Any, checkpoint: Any, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    problems = tiny.problems(5)
    whole = measure(checkpoint, problems, show_progress=False, keep_patterns=["t0-q0"], **OPTIONS)
    with stopped_midway(monkeypatch):
        measure(checkpoint, problems, show_progress=False, keep_patterns=["t0-q0"], out=tmp_path, **OPTIONS)
    kept = sorted(path.name for path in tmp_path.glob(".shards-*/*"))
    assert len(kept) == 2
    assert not (tmp_path / "results.parquet").exists()
    (tmp_path / ".results.parquet.left").write_text("of a run that was killed")
    results = measure(checkpoint, problems, keep_patterns=["t0-q0"], out=tmp_path, **OPTIONS)
    assert "2 shards of this run were finished before" in capsys.readouterr().err
    assert rows(results).equals(rows(whole))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "patterns.npz", "results.parquet"]
    for one, other in zip(read_patterns(tmp_path), read_patterns(whole.path), strict=True):
        assert one.sample == other.sample
        assert np.array_equal(one.pattern(), other.pattern())


@pytest.mark.usefixtures("small_shards")
def test_so_does_one_whose_table_goes_to_a_store(
    tiny: Any, checkpoint: Any, memory: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    problems, more = tiny.problems(5), {"keep_patterns": ["t0-q0"], **OPTIONS}
    whole = measure(checkpoint, problems, show_progress=False, out=tmp_path / "here", **more)
    with stopped_midway(monkeypatch):
        measure(checkpoint, problems, show_progress=False, out="memory://bucket/run", **more)
    assert len(memory.glob("/bucket/run/.shards-*/*/state.json")) == 2
    _, second = sorted(memory.glob("/bucket/run/.shards-*/*"))
    memory.rm_file(f"{second}/state.json")  # as one that was killed while it sent a shard leaves it
    assert not list((tmp_path / "temporary").iterdir())
    results = measure(checkpoint, problems, out="memory://bucket/run", **more)
    assert "2 shards of this run were finished before" in capsys.readouterr().err
    assert rows(results).equals(rows(whole))
    assert results.to_frame().equals(Results.load("memory://bucket/run").to_frame())
    names = [name.removeprefix("/bucket/run/") for name in memory.find("/bucket/run")]
    assert names == sorted(path.name for path in (tmp_path / "here").iterdir())
    assert len(read_patterns(Results.load("memory://bucket/run").path)) == len(read_patterns(whole.path)) > 0


@pytest.mark.usefixtures("small_shards")
def test_other_data_do_not_go_on(tiny: Any, checkpoint: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(checkpoint_run.Shards, "close", lambda self: None)
    measure(checkpoint, tiny.problems(2), show_progress=False, out=tmp_path, **OPTIONS)
    first = set(tmp_path.glob(".shards-*"))
    measure(checkpoint, tiny.problems(3), show_progress=False, out=tmp_path, **OPTIONS)
    measure(checkpoint, tiny.problems(2), show_progress=False, seed=1, out=tmp_path, **OPTIONS)
    assert len(set(tmp_path.glob(".shards-*")) - first) == 2


def test_two_runs_do_not_share_a_directory(tiny: Any, checkpoint: Any, tmp_path: Path) -> None:
    code = "import time; from pathlib import Path; from xlprobe.measuring.lock import locked\n"
    code += f"with locked(Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ResultsError, match="another run is writing to"):
            measure(checkpoint, tiny.problems(2), show_progress=False, out=tmp_path, **OPTIONS)
    finally:
        other.kill()
        other.communicate()
    with locked(tmp_path):  # a process that is gone holds nothing
        assert True
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_table_goes_with_the_answer(tiny: Any, checkpoint: Any) -> None:
    results = measure(checkpoint, tiny.problems(2), pairs="en-fr", metrics=["entropy"], show_progress=False)
    place, some = results.path.parent, results.select(layer=0)
    del results
    gc.collect()
    assert len(some)
    assert place.is_dir()
    del some
    gc.collect()
    assert not place.exists()


def test_nothing_temporary_is_left_by_an_error(tiny: Any, checkpoint: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ResultsError):
        monkeypatch.setattr(
            checkpoint_run, "capture", lambda *arguments, **options: (_ for _ in ()).throw(ResultsError("stop"))
        )
        measure(checkpoint, tiny.problems(2), pairs="en-fr", metrics=["entropy"], show_progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_which_file_and_what_is_whole(
    tiny: Any, checkpoint: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    def full(self: Any, table: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.ipc.RecordBatchStreamWriter.write_table", full)
    with pytest.raises(ResultsError, match=r"rows.arrow: No space left on device\. .* whole"):
        measure(checkpoint, tiny.problems(2), show_progress=False, out=tmp_path, **OPTIONS)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".shards")] == []


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGINT])
def test_a_command_that_is_ended_clears_up(tiny: Any, checkpoint: Any, tmp_path: Path, number: int) -> None:
    save(checkpoint, tmp_path / "tiny")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "xlprobe", "measure", "-c", str(tmp_path / "tiny"), "--languages", "en fr"]
    command += ["--limit", "400", "--metrics", "all", "--too-long", "skip", "--batch-size", "4", "--out", str(out)]
    running = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    for _ in range(3000):
        if any(out.glob(".shards-*/[!.]*")) or running.poll() is not None:
            break
        time.sleep(0.1)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert "the same command goes on" in said
    assert all(path.name.startswith(".shards") for path in out.iterdir())
    assert not list(out.glob(".shards-*/.*"))
