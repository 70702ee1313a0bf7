"""Checkpoints are whole, killed runs go on to the same weights, and what goes wrong is said."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from by_path import ENVIRONMENT
from safetensors.torch import load_file

from xlprobe.errors import TrainingError
from xlprobe.training import finetune
from xlprobe.training import trainer as loop

SCRIPT = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from by_path import makers
tiny = makers()
from transformers import TrainerCallback
from transformers.utils import logging
from xlprobe.training import Method, TrainSettings, finetune

class Slow(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        time.sleep(float(sys.argv[2]))
        if state.global_step >= int(sys.argv[3]):
            Path(sys.argv[1], "reached").touch()
            time.sleep(60)

settings = TrainSettings(steps=12, batch_size=4, learning_rate=1e-2, dropout=0.1, log_every=1, save_every=2)
made = finetune(
    tiny.make_checkpoint(), tiny.make_problems(), Method("cross-query", "full", {"en-en": 1.0, "en-fr": 1.0}),
    out=sys.argv[1], settings=settings, callbacks=[Slow()],
)
print("HASH", made.hash)
"""


def _start(tmp_path: Path, out: str, pause: float = 0.0, hang_at: int = 10**6) -> subprocess.Popen[str]:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / out), str(pause), str(hang_at)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip


def _hash(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=120)
    lines = [line for line in out.splitlines() if line.startswith("HASH")]
    assert process.returncode == 0, error[-2000:]
    assert lines, error[-2000:]
    return lines[0]


@pytest.mark.slow  # the queue's test of the same kind is not
def test_a_killed_run_ends_with_the_same_weights(tmp_path):
    whole = _start(tmp_path, "whole")
    killed = _start(tmp_path, "killed", hang_at=7)
    deadline = time.monotonic() + 100
    while not (tmp_path / "killed" / "reached").exists() and time.monotonic() < deadline:
        assert killed.poll() is None, killed.communicate()[1][-2000:]
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    # What a kill in the middle of writing leaves behind must not matter.
    partial = tmp_path / "killed" / ".writing" / "checkpoint-8"
    partial.mkdir(parents=True)
    (partial / "trained.safetensors").write_bytes(b"half")
    assert loop.last_checkpoint(tmp_path / "killed").name == "checkpoint-6"
    assert _hash(_start(tmp_path, "killed")) == _hash(whole)


def test_nan_stops_with_the_last_good_checkpoint(tiny, settings, tmp_path, monkeypatch):
    step = loop.DeltaTrainer.compute_loss

    def broken(self, model, inputs, *args, **kwargs):
        loss = step(self, model, inputs, *args, **kwargs)
        return loss * float("nan") if self.state.global_step >= 3 else loss

    monkeypatch.setattr(loop.DeltaTrainer, "compute_loss", broken)
    with pytest.raises(
        TrainingError, match="the loss is nan after 3 steps; the last good checkpoint is .*checkpoint-2"
    ):
        finetune(tiny.checkpoint(), tiny.problems(), out=tmp_path, settings=settings(steps=6, save_every=2))
    assert loop.last_checkpoint(tmp_path).name == "checkpoint-2"
    assert all(torch.isfinite(t).all() for t in load_file(tmp_path / "checkpoint-2" / loop.WEIGHTS).values())


def test_a_full_disk_leaves_the_last_good_checkpoint(tiny, settings, tmp_path, monkeypatch):
    write = loop.save_file

    def full(tensors, path, *args, **kwargs):
        if "checkpoint-4" in str(path):
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(tensors, path, *args, **kwargs)

    given = settings(steps=6, save_every=2)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_file", full)
        with pytest.raises(TrainingError, match="the disk is full; the last good checkpoint is .*checkpoint-2"):
            finetune(tiny.checkpoint(), tiny.problems(), out=tmp_path / "a", settings=given)
    assert [path.name for path in (tmp_path / "a").glob("*point*")] == ["checkpoint-2"]
    assert not (tmp_path / "a" / ".writing").exists()
    resumed = finetune(tiny.checkpoint(), tiny.problems(), out=tmp_path / "a", settings=given)
    assert resumed.hash == finetune(tiny.checkpoint(), tiny.problems(), out=tmp_path / "b", settings=given).hash


def test_another_run_in_the_directory_is_refused(tiny, settings, tmp_path):
    finetune(tiny.checkpoint(), tiny.problems(), out=tmp_path, settings=settings())
    with pytest.raises(TrainingError, match="other data, weights or settings"):
        finetune(tiny.checkpoint(), tiny.problems(), out=tmp_path, settings=settings(learning_rate=1e-3))


def test_checkpoints_hold_what_is_trained_only(tiny, settings, tmp_path):
    finetune(tiny.checkpoint(), tiny.problems(), out=tmp_path, settings=settings(save_every=2, keep=1))
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-4"]
    names = set(load_file(tmp_path / "checkpoint-4" / loop.WEIGHTS))
    assert "classifier.weight" in names
    assert not any("query.weight" in name for name in names)


def test_tensorboard_gets_the_loss(tiny, settings, tmp_path):
    pytest.importorskip("tensorboard")
    finetune(tiny.checkpoint(), tiny.problems(), out=tmp_path, settings=settings(report_to=("tensorboard",)))
    assert list(tmp_path.rglob("events.out.tfevents.*"))
