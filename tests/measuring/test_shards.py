from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xlprobe import save
from xlprobe.errors import ResultsError
from xlprobe.measuring.measurement import measure
from xlprobe.measuring.processes import pin_device, process_count, process_number, refuse_processes
from xlprobe.measuring.shards import Shards
from xlprobe.results import COLUMNS, Results
from xlprobe.training.evaluation import evaluate

ROOT = Path(__file__).resolve().parent.parent
METRICS = ["js_stability", "instability", "head_rsa", "correct"]


def as_process(monkeypatch, number, count, **more):
    values = {"RANK": number, "WORLD_SIZE": count, "LOCAL_RANK": number, **more}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


def sorted_rows(table):
    frame = table.to_frame().astype({name: str for name in COLUMNS if name != "value"})
    return frame.sort_values([name for name in COLUMNS if name != "value"], ignore_index=True)


def same(one, other):
    left, right = sorted_rows(one), sorted_rows(other)
    assert left.drop(columns="value").equals(right.drop(columns="value"))
    np.testing.assert_array_equal(left["value"].to_numpy(), right["value"].to_numpy())


def run_measure(tiny, out):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification", cross_query=True)
    return measure(
        checkpoint, tiny.problems(3, 2, ("en", "fr")), metrics=METRICS, out=out, batch_size=12, show_progress=False
    )


@pytest.mark.usefixtures("small_shards")
def test_two_processes_give_the_numbers_of_one(tiny, tmp_path, monkeypatch):
    one = run_measure(tiny, tmp_path / "one")
    as_process(monkeypatch, 1, 2)
    theirs = run_measure(tiny, tmp_path / "two")
    shards = sorted(path.name for path in (tmp_path / "two").glob(".shards-*/*"))
    assert len(shards) >= 2
    assert 0 < len(theirs) < len(one)
    as_process(monkeypatch, 0, 2)
    both = run_measure(tiny, tmp_path / "two")
    same(one, both)
    assert {"instability", "head_rsa", "correct", "js_stability"} <= set(both.unique("metric"))
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["manifest.json", "results.parquet"]


@pytest.mark.usefixtures("small_shards")
def test_what_a_failed_run_finished_is_used(tiny, tmp_path, monkeypatch):
    as_process(monkeypatch, 1, 2)
    run_measure(tiny, tmp_path)
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".shards-*/*")}
    # The first process waits in vain, having done its own share.
    for path in list(done)[:1]:
        shutil.rmtree(path)
        del done[path]
    as_process(monkeypatch, 0, 2, XLPROBE_SHARD_TIMEOUT=0.1)
    with pytest.raises(ResultsError, match="Run again: the .* finished ones"):
        run_measure(tiny, tmp_path)
    assert not (tmp_path / "results.parquet").exists()
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    # With three processes the shards are the same ones.
    as_process(monkeypatch, 1, 3)
    run_measure(tiny, tmp_path)
    as_process(monkeypatch, 2, 3)
    run_measure(tiny, tmp_path)
    as_process(monkeypatch, 0, 3)
    again = run_measure(tiny, tmp_path)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name)
    same(again, run_measure(tiny, tmp_path / "one"))


@pytest.mark.usefixtures("small_shards")
def test_evaluation_is_shared_too(tiny, tmp_path, monkeypatch):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    one = evaluate(checkpoint, tiny.problems(), pairs="en-fr, en-en", batch_size=3)
    as_process(monkeypatch, 1, 2)
    theirs = evaluate(checkpoint, tiny.problems(), pairs="en-fr, en-en", batch_size=3, out=tmp_path)
    as_process(monkeypatch, 0, 2)
    both = evaluate(checkpoint, tiny.problems(), pairs="en-fr, en-en", batch_size=3, out=tmp_path)
    same(one, both)
    assert 0 < len(theirs) < len(both)
    assert list(tmp_path.iterdir()) == []


def test_several_processes_need_a_directory_in_common(tiny, monkeypatch):
    as_process(monkeypatch, 0, 2)
    with pytest.raises(ResultsError, match="no directory in common"):
        run_measure(tiny, None)


def test_states_come_back_as_they_were(tmp_path):
    def work(part, writer):
        writer.append_frame(pd.DataFrame({"metric": ["m"], "value": [float(part)]}))
        return {("a", None, 3): (np.array([0.1, 1 / 3]), np.int64(part)), "b": [1.5, "x"]}

    rows = []

    class Target:
        def append_table(self, table):
            rows.extend(table["value"].to_pylist())

    for number in (1, 0):
        states = list(Shards(tmp_path / "s", "f", number, 2).states("a name/with slash", [5, 6, 7], work, Target()))
    assert rows == [5, 6, 7]
    assert [int(state["a", None, 3][1]) for state in states] == [5, 6, 7]
    assert states[0]["a", None, 3][0].tolist() == [0.1, 1 / 3]
    assert states[0]["b"] == [1.5, "x"]


def test_a_command_for_one_process_says_so(monkeypatch):
    refuse_processes("report", "draw with one")
    as_process(monkeypatch, 0, 2)
    with pytest.raises(ResultsError, match="2 processes run report, which is for one; draw with one"):
        refuse_processes("report", "draw with one")


def test_a_part_that_fails_leaves_nothing_half_done(tmp_path):
    def work(part, writer):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        list(Shards(tmp_path / "s", "f", 0, 2).states("n", [1, 2], work, None))
    assert list((tmp_path / "s").iterdir()) == []


def test_other_data_have_other_shards(tmp_path):
    runs = [Shards.of_run(tmp_path, {"created": n, "data": data}) for n, data in enumerate("xxy")]
    assert runs[0].directory == runs[1].directory != runs[2].directory


@pytest.mark.parametrize(("visible", "expected"), [(None, "1"), ("4,5", "5"), ("7", "7")])
def test_each_process_sees_the_gpu_of_its_own(monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible or "")
    pin_device()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == (visible or "")
    as_process(monkeypatch, 1, 2)
    pin_device()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == expected
    assert (process_number(), process_count()) == (1, 2)


@pytest.mark.slow
def test_accelerate_launches_two_processes(tiny, tmp_path):
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    save(checkpoint, tmp_path / "tiny")
    arguments = ["measure", "-c", str(tmp_path / "tiny"), "--languages", "en fr", "--limit", "4", "--metrics"]
    arguments += ["js_stability,instability", "--batch-size", "8", "--too-long", "skip", "--out"]
    one = [sys.executable, "-m", "xlprobe", *arguments, str(tmp_path / "one")]
    two = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
    two += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "xlprobe"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in (one, [*two, *arguments, str(tmp_path / "two")]):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=240)
        assert done.returncode == 0, done.stderr[-2000:]
    same(Results.load(tmp_path / "one"), Results.load(tmp_path / "two"))
