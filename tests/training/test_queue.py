"""A queue of runs: killed at any moment it goes on to the same weights; what goes wrong is kept and said."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from xlprobe.checkpoints.loading import load
from xlprobe.errors import TrainingError
from xlprobe.training import queue
from xlprobe.training import trainer as loop
from xlprobe.training.archives import unpack_archive
from xlprobe.training.queue import QueueOptions, is_working, run_queue
from xlprobe.training.standing import standing_of, standing_table
from xlprobe.training.study import read_study

ROOT = Path(__file__).resolve().parents[2]
PRETRAIN = """
routine = "pretrain"
base = "{base}"
pairs = ["en-fr"]
head = {{steps = 2}}
settings = {{steps = {steps}, batch_size = 4, dropout = 0.0, device = "cpu"}}
stages = [{{source = "file", path = "texts.jsonl", format = "jsonl"}}]
"""
FINETUNE = """
routine = "finetune"
name = "{mechanism}"
base = "{base}"
mechanism = "{mechanism}"
tuning = "full"
store = "4-bit"
mix = {{"en-en" = 0.5, "en-fr" = 0.5}}
settings = {{batch_size = 4, dropout = 0.1, learning_rate = 1e-2, device = "cpu", save_every = 2, keep = 1}}
stages = [{{source = "file", path = "problems.jsonl", format = "jsonl", steps = {steps}, share = [0.0, 0.7]}}]
evaluation = {{source = "file", path = "problems.jsonl", format = "jsonl", share = [0.7, 1.0]}}
"""
STUDY = """
[[runs]]
name = "start"
recipe = "baseline.toml"
steps = 3

[[runs]]
name = "query"
recipe = "pretrain.toml"

[[runs]]
name = "baseline"
recipe = "baseline.toml"
base = "start"
seeds = [0, 1]
pairs = "en-*"

[[runs]]
name = "crossed"
recipe = "crossed.toml"
query = "query"
"""


def make(place: Path, base: Path, steps: int = 6) -> Path:
    place.mkdir(exist_ok=True)
    (place / "pretrain.toml").write_text(PRETRAIN.format(base=base, steps=3))
    (place / "baseline.toml").write_text(FINETUNE.format(base=base, steps=steps, mechanism="baseline"))
    (place / "crossed.toml").write_text(FINETUNE.format(base=base, steps=steps, mechanism="cross-query"))
    (place / "study.toml").write_text(STUDY)
    return place / "study.toml"


@pytest.fixture
def study(data):
    return make(data / "study", data / "base")


def options(data: Path, name: str = "runs", **more) -> QueueOptions:
    return QueueOptions(data / name, data / f"{name}-kept", data, say=lambda text: said.append(text), **more)


said: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_said():
    said.clear()


def states(study: Path, out: Path) -> dict[str, str]:
    return {run.name: standing_of(out, run).state for run in read_study(study)}


def test_runs_in_order_and_keeps_what_is_small(study, data):
    runs, given = read_study(study), options(data)
    run_queue(runs, given)
    names = ["start-seed0", "query-seed0", "baseline-seed0", "crossed-seed0", "baseline-seed1"]
    assert [run.name for run in runs] == names
    assert set(states(study, given.out).values()) == {"finished"}
    assert not list(given.out.glob("*/checkpoint-*"))
    assert sorted(path.stem for path in given.archives.glob("*.zip")) == sorted(names)
    place = unpack_archive(given.archives / "baseline-seed1.zip", data / "unpacked")
    made, kept = load(place), load(given.out / "baseline-seed1")
    assert made.hash == kept.hash
    # What is kept of a run that began with another one needs nothing but the encoder.
    assert made.provenance["base"] == str(data / "base")
    assert load(given.out / "crossed-seed0").is_cross_query
    card = (place / "card.md").read_text()
    assert "start-seed0" in card
    assert card.count("| en-") == 2
    before = {path: path.stat().st_mtime_ns for path in given.archives.iterdir()}
    run_queue(runs, given)
    assert before == {path: path.stat().st_mtime_ns for path in given.archives.iterdir()}
    # Elsewhere the archives are enough to go on from.
    other = QueueOptions(data / "elsewhere", given.archives, data, say=said.append)
    (given.archives / "baseline-seed1.zip").unlink()
    run_queue(runs, other)
    assert load(data / "elsewhere" / "baseline-seed1").hash == kept.hash
    assert standing_table(runs, other.out, False)["state"].tolist() == ["finished"] * 5


def test_a_killed_queue_goes_on_to_the_same_weights(study, data):
    script = data / "slow.py"
    script.write_text(
        "import sys, time, torch\n"
        "from pathlib import Path\n"
        "from xlprobe.training import trainer\n"
        "torch.set_num_threads(1)\n"
        "place = Path(sys.argv[1])\n"
        "step = trainer.DeltaTrainer.training_step\n"
        "def slow(self, *given):\n"
        "    if 'baseline-seed0' in str(self.args.output_dir) and self.state.global_step >= 5:\n"
        "        (place / 'reached').touch()\n"
        "        time.sleep(60)\n"
        "    return step(self, *given)\n"
        "trainer.DeltaTrainer.training_step = slow\n"
        "from xlprobe.cli import main\n"
        "sys.argv = ['xlprobe', *sys.argv[2:]]\n"
        "main()\n"
    )
    arguments = ["study", "run", str(study), "--out", str(data / "killed"), "--data", str(data), "--nice", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, str(script), str(data), *arguments], env=environment)
    deadline = time.monotonic() + 150
    while not (data / "reached").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    assert is_working(data / "killed")
    with pytest.raises(TrainingError, match="another queue"):
        run_queue(read_study(study), QueueOptions(data / "killed", data / "x", data))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_working(data / "killed")
    assert states(study, data / "killed")["baseline-seed0"] == "begun"
    table = standing_table(read_study(study), data / "killed", False).set_index("run")
    assert table.loc["baseline-seed0", "state"] == "interrupted"
    assert (data / "killed" / "baseline-seed0" / "checkpoint-4").is_dir()
    run_queue(read_study(study), QueueOptions(data / "killed", study.parent / "runs", data, say=said.append))
    assert "baseline-seed0: goes on" in said
    whole = options(data, "whole")
    run_queue(read_study(study), whole)
    for run in read_study(study)[2:]:
        assert load(data / "killed" / run.name).hash == load(whole.out / run.name).hash


def test_a_changed_recipe_is_refused_for_what_has_begun(study, data):
    run_queue(read_study(study), options(data))
    make(study.parent, data / "base", steps=8)
    with pytest.raises(TrainingError, match=r"baseline-seed0 was begun with other entries \(settings, stages\)"):
        run_queue(read_study(study), options(data))


def test_a_diverging_run_is_kept_and_reported(study, data, monkeypatch):
    step = loop.DeltaTrainer.compute_loss

    def broken(self, model, inputs, *args, **kwargs):
        loss = step(self, model, inputs, *args, **kwargs)
        bad = "start" in str(self.args.output_dir) and self.state.global_step >= 2
        return loss * float("nan") if bad else loss

    monkeypatch.setattr(loop.DeltaTrainer, "compute_loss", broken)
    given = options(data)
    run_queue(read_study(study), given)
    found = states(study, given.out)
    assert found["start-seed0"] == "diverged"
    assert found["baseline-seed0"] == found["baseline-seed1"] == "waiting"
    assert found["crossed-seed0"] == "finished"
    assert any("needs start-seed0, which is diverged" in text for text in said)
    assert (given.out / "start-seed0" / "checkpoint-2").is_dir()
    table = standing_table(read_study(study), given.out, False).set_index("run")
    assert "the loss is nan after 2 steps" in table.loc["start-seed0", "note"]
    said.clear()
    run_queue(read_study(study), given)
    assert states(study, given.out)["start-seed0"] == "diverged"
    assert not any("begins" in text for text in said)


def test_a_full_disk_stops_the_queue_which_goes_on_afterwards(study, data, monkeypatch):
    def full(*given, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    given = options(data)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_file", full)
        with pytest.raises(TrainingError, match="the disk is full"):
            run_queue(read_study(study), given)
    assert states(study, given.out)["start-seed0"] == "begun"
    with monkeypatch.context() as patch:
        patch.setattr("xlprobe.training.archives.write_atomically", full)
        with pytest.raises(TrainingError, match="No space left"):
            run_queue(read_study(study), given)
    assert states(study, given.out)["start-seed0"] == "begun"
    run_queue(read_study(study), given)
    assert set(states(study, given.out).values()) == {"finished"}


def test_time_that_is_up_leaves_a_checkpoint_and_whole_runs_come_first(study, data, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: now[0])
    step = loop.DeltaTrainer.training_step

    def timed(self, *given):
        now[0] += 10.0
        return step(self, *given)

    monkeypatch.setattr(loop.DeltaTrainer, "training_step", timed)
    given = options(data, minutes=15 / 60)
    run_queue(read_study(study), given)
    assert states(study, given.out)["start-seed0"] == "begun"
    assert (given.out / "start-seed0" / "checkpoint-3").is_dir() or (
        given.out / "start-seed0" / "checkpoint-2"
    ).is_dir()
    now[0] = 0.0
    # Known by now: 10 s a step.
    run_queue(read_study(study), options(data, minutes=95 / 60))
    found = states(study, given.out)
    assert found["start-seed0"] == found["query-seed0"] == "finished"
    assert found["baseline-seed0"] == "waiting"
    assert any("would take 1 minutes" in text for text in said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no \\[\\[runs\\]\\]"),
        ("[[runs]]\nname = 'a'", "expected both|recipe=None"),
        ("[[runs]]\nname = 'a/b'\nrecipe = 'baseline.toml'", "name='a/b'"),
        ("[[runs]]\nname = 'a'\nrecipe = 'baseline.toml'\nsteep = 3", "unknown entries \\['steep'\\]"),
        ("[[runs]]\nname = 'a'\nrecipe = 'baseline.toml'\nbase = 'b'", "base = 'b'"),
        ("[[runs]]\nname = 'a'\nrecipe = 'baseline.toml'\nseeds = [1, 1]", "twice"),
        ("[[runs]]\nname = 'a'\nrecipe = 'nowhere.toml'", "cannot read"),
        ("[[runs]", "not TOML"),
    ],
)
def test_bad_studies_are_refused(study, text, message):
    study.write_text(text)
    with pytest.raises(TrainingError, match=message):
        read_study(study)


def test_bad_archives_are_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(TrainingError, match="cannot read the archive"):
        unpack_archive(tmp_path / "a.zip", tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr("../escaped", "x")
    with pytest.raises(TrainingError, match="expected the files of a run"):
        unpack_archive(tmp_path / "b.zip", tmp_path / "b")
    assert not (tmp_path / "escaped").exists()


def test_commands(study, data, capsys):
    from xlprobe.cli import app, run

    assert run(app, ["study", "run", str(study), "--device", "tpu", "--nice", "0"]) == 1
    assert "expected cpu or cuda" in capsys.readouterr().err
    (data / "study" / "study.toml").write_text(STUDY.split('[[runs]]\nname = "query"')[0])
    project = data / "study"
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", "-C", str(project), *command], check=True)
    (project / "baseline.toml").write_text("broken [")
    out = data / "runs"
    arguments = ["--out", str(out), "--data", str(data), "--commit", "HEAD", "--nice", "0"]
    assert run(app, ["study", "run", str(study), *arguments]) == 0
    assert json.loads((out / "start-seed0" / "standing.json").read_text())["state"] == "finished"
    assert (project / "runs" / "start-seed0.zip").is_file()
    assert run(app, ["study", "run", str(study), *arguments[:-1], "0", "--commit", "none"]) == 1
    make(project, data / "base")
    assert run(app, ["study", "status", str(study), "--out", str(out)]) == 0
    assert "start-seed0" in capsys.readouterr().out
