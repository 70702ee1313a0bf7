"""The paper's recipes run on its layouts of data; a tiny model and a few steps stand in for the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xlprobe.samples import generate
from xlprobe.training import read_recipe
from xlprobe.training.runs import run_finetune, run_pretrain

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
XNLI = ("en", "fr", "de", "es", "ru", "ar", "zh")


@pytest.fixture
def data(tmp_path):
    """`ruletaker/<language>/original/depth-3/<split>.jsonl` and `xnli/train-<language>.tsv`."""
    for number, split in enumerate(("train", "dev")):
        few = {"entities": (2, 2), "facts": (2, 2), "rules": (0, 0), "depth": 0}
        problems = list(generate(theories=6, questions=2, languages=XNLI, seed=number, **few))
        for code in ("en", "fr"):
            file = tmp_path / "ruletaker" / code / "original" / "depth-3" / f"{split}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            rows = [
                {
                    "id": problem.key,
                    "context": " ".join(problem.context[code]),
                    "questions": [{"text": problem.question[code], "label": bool(problem.label), "meta": {"QDep": 0}}],
                }
                for problem in problems
            ]
            file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    (tmp_path / "xnli").mkdir()
    for code in XNLI:
        lines = [f"{p.context[code][0]}\t{p.question[code]}\tneutral\n" for p in problems]
        (tmp_path / "xnli" / f"train-{code}.tsv").write_text("".join(lines), encoding="utf8")
    return tmp_path


@pytest.mark.parametrize(("family", "model"), [("mbert", "bert"), ("xlm_r", "xlm-roberta")])
def test_pretrain_and_finetune(tiny, data, tmp_path, family, model):
    base = tiny.checkpoint(model, "ForMaskedLM")
    place = tmp_path / "base"
    base.model.save_pretrained(place)
    base.tokenizer.save_pretrained(place)
    less = {"base": str(place), "max_length": 128, "device": "cpu"}
    query = run_pretrain(read_recipe(RECIPES / f"{family}_pretrain.toml", steps=2, **less), tmp_path / "pre", data)
    for name in ("cross_query", "baseline_bitfit", "baseline"):
        recipe = read_recipe(RECIPES / f"{family}_{name}.toml", steps=2, validate_every=1, **less)
        cross = recipe.mechanism == "cross-query"
        found = run_finetune(recipe, tmp_path / name, data, query if cross else None)
        assert found.is_cross_query == cross
        assert found.provenance["run"]["steps"] == 2
