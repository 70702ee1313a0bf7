"""Linguistic factors."""

import math
import subprocess
import sys
from types import ModuleType

import pandas as pd
import pytest

from xlprobe.errors import DataError, ResultsError
from xlprobe.factors import (
    per_language,
    relate,
    script_match,
    seen_in_pretraining,
    tokens_per_word,
    typological_distances,
)
from xlprobe.measuring import languages

TARGETS = ("fr", "de", "es", "ru", "ar", "fa", "zh")


def fake_uriel(monkeypatch):
    class URIELPlus:
        def new_distance(self, kind, pair):
            if "cmn" in pair:
                raise SystemExit("no data")
            return {"fra": 0.2, "pes": 0.5, "eng": 0.1}[pair[1]]

    languages._distances.cache_clear()
    package, module = ModuleType("urielplus"), ModuleType("urielplus.urielplus")
    module.URIELPlus = URIELPlus
    monkeypatch.setitem(sys.modules, "urielplus", package)
    monkeypatch.setitem(sys.modules, "urielplus.urielplus", module)


def test_distances_use_codes_of_single_languages(monkeypatch):
    fake_uriel(monkeypatch)
    found = typological_distances(["en", "fr", "fa", "zh"])
    languages._distances.cache_clear()
    assert (found["en"], found["fr"], found["fa"]) == (0.0, 0.2, 0.5)
    assert math.isnan(found["zh"])


def test_without_the_extra_the_message_says_what_to_do(monkeypatch):
    for name in ("urielplus", "urielplus.urielplus"):  # the second may have been imported by another test
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match="pip install 'xlprobe\\[typology\\]'"):
        typological_distances(["fr"])
    with pytest.raises(DataError, match="kind='taste'"):
        typological_distances(["fr"], kind="taste")


@pytest.mark.slow
def test_real_distances_agree_with_those_on_file(shared_data):
    pytest.importorskip("urielplus", reason="the extra 'typology' is not installed")
    (path,) = (shared_data / "typology").glob("urielplus_*_distances.tsv")
    table = pd.read_csv(path, sep="\t")
    known = table[table["lang1"] == "en"].set_index("lang2")["syntactic"]
    found = typological_distances(TARGETS)
    for code in TARGETS:
        assert found[code] == pytest.approx(float(known[code]), abs=1e-4), code


def test_script_and_pre_training():
    assert script_match(["fr", "ru", "en"]) == {"fr": 1.0, "ru": 0.0, "en": 1.0}
    seen = seen_in_pretraining(["fr-en", "en-zh"], ["fr", "zh", "fa", "en"])
    assert seen == {"fr": 1.0, "zh": 1.0, "fa": 0.0, "en": 1.0}


def test_tokens_per_word_is_over_words_of_the_base(tiny):
    problems = tiny.problems(theories=2, questions=1)
    tokenizer = tiny.tokenizers["bert"]()
    found = tokens_per_word(tokenizer, problems, ["en", "zh"])
    texts = [text for problem in problems for text in (*problem.context["en"], problem.question["en"])]
    words = sum(len(text.split()) for text in texts)
    assert found["en"] == pytest.approx(sum(len(tokenizer.tokenize(text)) for text in texts) / words)
    assert found["zh"] != found["en"]
    with pytest.raises(DataError, match="has no 'ru'"):
        tokens_per_word(tokenizer, problems, ["ru"])


def table(values, checkpoint="cross"):
    rows = []
    for code, value in values.items():
        for pair, shift in ((("en", code), 0.1), ((code, "en"), -0.1)):
            row = {"checkpoint": checkpoint, "metric": "correct", "block": "", "pooling": "", "condition": "observed"}
            rows.append(row | {"context_language": pair[0], "question_language": pair[1], "value": value + shift})
    rows.append(rows[0] | {"context_language": "en", "question_language": "en", "value": 99.0})
    return pd.DataFrame(rows)


def test_means_per_language():
    frame = table({"fr": 0.8, "zh": 0.5})
    assert per_language(frame, "correct") == pytest.approx({"fr": 0.8, "zh": 0.5})
    assert per_language(frame, "correct", direction="from") == pytest.approx({"fr": 0.9, "zh": 0.6})
    assert per_language(frame, "correct", direction="to") == pytest.approx({"fr": 0.7, "zh": 0.4})
    both = pd.concat([frame, table({"fr": 0.1}, "base")])
    with pytest.raises(ResultsError, match="several checkpoints: base, cross"):
        per_language(both, "correct")
    assert per_language(both, "correct", checkpoint="base") == pytest.approx({"fr": 0.1})
    with pytest.raises(ResultsError, match="no code-switched rows"):
        per_language(frame, "cka")


def test_relating_refuses_more_than_seven_languages_carry():
    distance = dict(zip(TARGETS, (1.0, 2, 3, 4, 5, 6, 7), strict=True))
    frame = table({code: 1 - value / 10 for code, value in distance.items()})
    (found,) = relate(frame, "correct", {"distance": distance})
    assert found.rho == pytest.approx(-1)
    assert found.p == pytest.approx(2 / 5040)
    assert found.n == 7
    with pytest.raises(ResultsError, match="2 factors for 7 languages"):
        relate(frame, "correct", {"distance": distance, "script": script_match(TARGETS)})


def test_the_log_is_left_as_it_was():
    pytest.importorskip("urielplus")
    code = (
        "import logging\nfrom xlprobe.factors import typological_distances\ntypological_distances(['fr'])\n"
        "assert not logging.root.handlers\nassert logging.root.level == logging.WARNING"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "INFO" not in done.stderr
