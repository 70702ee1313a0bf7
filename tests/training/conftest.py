"""Settings that train a tiny model in a moment."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _quiet_transformers():
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def settings():
    """A maker of small settings."""
    from xlprobe.training import TrainSettings

    def make(**options: Any) -> TrainSettings:
        return TrainSettings(
            **{
                "steps": 4,
                "batch_size": 4,
                "learning_rate": 1e-2,
                "dropout": 0.0,
                "log_every": 1,
                "device": "cpu",
                **options,
            }
        )

    return make


@pytest.fixture
def data(tiny, tmp_path):
    """A directory with a tiny encoder, problems, and texts that are their contexts alone."""
    from dataclasses import replace

    from xlprobe.samples.readers import write_jsonl

    base = tiny.checkpoint("bert", "Model")
    base.model.save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    problems = tiny.problems(9)
    write_jsonl(problems, tmp_path / "problems.jsonl")
    write_jsonl(
        [replace(p, question={c: p.context[c][0] for c in p.languages}) for p in problems], tmp_path / "texts.jsonl"
    )
    return tmp_path
