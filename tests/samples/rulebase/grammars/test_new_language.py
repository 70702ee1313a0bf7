from __future__ import annotations

import sys

import pytest

from xlprobe.samples import generate, read_jsonl, write_jsonl
from xlprobe.samples.rulebase import grammars

FILE = """
from xlprobe.samples.rulebase.grammars.en import English


class Esperanto(English):
    code = "eo"
    conditional = "se {} tiam {}"


GRAMMAR = Esperanto()
"""


@pytest.fixture
def new_file(tmp_path, monkeypatch):
    """A directory of grammars beside the package's own, with one more language."""
    (tmp_path / "eo.py").write_text(FILE, encoding="utf-8")
    monkeypatch.setattr(grammars, "__path__", [*grammars.__path__, str(tmp_path)])
    grammars.available.cache_clear()
    yield
    monkeypatch.undo()
    grammars.available.cache_clear()
    grammars.grammar.cache_clear()
    grammars.verbalise.cache_clear()
    sys.modules.pop("xlprobe.samples.rulebase.grammars.eo", None)


@pytest.mark.usefixtures("new_file")
def test_a_file_is_all_that_a_language_needs(tmp_path):
    assert "eo" in grammars.available()
    samples = generate(10, languages=("en", "eo"), seed=1)
    said = " ".join(" ".join(sample.context["eo"]) for sample in samples)
    assert "Se " in said
    assert " tiam " in said
    write_jsonl(samples, tmp_path / "made.jsonl")
    assert list(read_jsonl(tmp_path / "made.jsonl")) == samples


def test_it_is_gone_without_its_file():
    assert "eo" not in grammars.available()
