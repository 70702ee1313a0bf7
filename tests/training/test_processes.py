"""Several processes compute what one does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from by_path import ENVIRONMENT
from safetensors.torch import load_file

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from by_path import makers
tiny = makers()
from xlprobe.training import Method, TrainSettings, evaluate, finetune

train, held_out = tiny.make_problems(8)[:12], tiny.make_problems(8)[12:]
settings = TrainSettings(
    steps=8, batch_size=8, learning_rate=2e-3, dropout=0.0, log_every=1, save_every=4, validate_every=4, device="cpu"
)
made = finetune(
    tiny.make_checkpoint(), train, Method("cross-query", "full", {"en-en": 1.0, "en-fr": 1.0}), out=sys.argv[1],
    settings=settings, validation=held_out,
)
if int(os.environ.get("RANK", "0")) == 0:
    frame = evaluate(made, held_out, pairs="en-en, en-fr").to_frame()
    frame = frame.sort_values(["metric", "sample", "question_language"])
    Path(sys.argv[1], "told.json").write_text(
        json.dumps({"loss": made.provenance["run"]["loss"], "value": frame["value"].tolist()})
    )
"""


def _run(tmp_path: Path, processes: int) -> tuple[dict[str, list[float]], dict[str, np.ndarray]]:
    script, out = tmp_path / "run.py", tmp_path / f"of-{processes}"
    script.write_text(SCRIPT)
    launch = [] if processes == 1 else [
        "-m", "accelerate.commands.launch", "--cpu", "--num_processes", str(processes), "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, *launch, str(script), str(out)], env=ENVIRONMENT, capture_output=True, text=True, timeout=200,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    weights = {name: tensor.numpy() for name, tensor in load_file(out / "checkpoint-8" / "trained.safetensors").items()}
    return json.loads((out / "told.json").read_text()), weights


@pytest.mark.slow
def test_two_processes_give_the_loss_weights_and_answers_of_one(tmp_path):
    (one, its), (two, their) = _run(tmp_path, 1), _run(tmp_path, 2)
    assert len(one["loss"]) == 8
    assert len(set(one["loss"])) > 4
    assert one["loss"] == pytest.approx(two["loss"], abs=1e-4)
    assert one["value"] == pytest.approx(two["value"], abs=1e-4)
    assert all(np.allclose(its[name], their[name], atol=1e-4) for name in its)
