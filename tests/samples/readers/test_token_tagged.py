from __future__ import annotations

from collections import Counter

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import read_token_tagged


def test_tags_become_languages_of_characters(tmp_path, rows):
    (sample,) = read_token_tagged(rows.write(tmp_path / "cs.dev.jsonl", [rows.tagged]))
    assert sample.word_languages == ((0, 2, "de"), (2, 3, "de"), (4, 7, "tr"), (8, 11, "mul"), (11, 12, "mul"))
    assert (sample.key, sample.group, sample.dataset) == ("cs-s1", "cs-s1", "cs")
    assert (sample.context, sample.question, sample.context_language) == (("Ja, çok gut!",), None, "de")
    assert sample.is_code_switched


@pytest.mark.parametrize(
    ("tags", "languages"),
    [
        (["OTHER", "OTHER", "TR", "DE", "OTHER"], ["tr", "tr", "tr", "de", "de"]),
        (["OTHER"] * 5, ["und"] * 5),
        (["LANG3", "OTHER", "de", "Tr", "MIXED"], ["und", "und", "de", "tr", "mul"]),
    ],
)
def test_other_takes_its_neighbours_language(tmp_path, rows, tags, languages):
    (sample,) = read_token_tagged(rows.write(tmp_path / "t.jsonl", [rows.tagged | {"csid": tags}]))
    assert [language for _, _, language in sample.word_languages] == languages


def test_tags_can_be_named(tmp_path, rows):
    path = rows.write(tmp_path / "t.jsonl", [rows.tagged | {"csid": ["L1", "OTHER", "L2", "MIXED", "L1"]}])
    with pytest.raises(DataError, match=r"line 1: has the tag 'L1'; .* tags=\{'L1': 'en'\}"):
        list(read_token_tagged(path))
    (sample,) = read_token_tagged(path, tags={"L1": "de", "L2": "tr", "MIXED": "tr", "OTHER": "tr"})
    assert [language for _, _, language in sample.word_languages] == ["de", "tr", "tr", "tr", "de"]
    with pytest.raises(DataError, match="belongs to no language and takes its neighbour's"):
        list(read_token_tagged(path, tags={"L1": "de", "L2": "tr", "OTHER": "und"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "Ja, çok!"}, "the token 'gut' is not where"),
        ({"text": "Ja, nein, çok gut!"}, "the token 'çok' is not where"),
        ({"text": "Ja, çok gut! Ja"}, "the tokens end before the text does, at ' Ja'"),
        ({"csid": ["DE"]}, "has 5 tokens and 1 tags"),
        ({"tokens": [], "csid": []}, "has 0 tokens and 0 tags"),
        ({"tokens": ["Ja", "", "çok", "gut", "!"]}, "'tokens' is .*none empty"),
        ({"tokens": "Ja"}, "'tokens' is 'Ja'; expected a list"),
        ({"csid": [1, 2, 3, 4, 5]}, "'csid' is .*a list of texts"),
        ({"text": ""}, "'text' is empty"),
        ({"sent_id": "s1"}, "the sent_id 's1' was there before"),
    ],
)
def test_broken_rows_are_named(tmp_path, rows, change, message):
    path = rows.write(tmp_path / "broken.jsonl", [rows.tagged, rows.tagged | {"sent_id": "s2"} | change])
    with pytest.raises(DataError, match=rf"broken\.jsonl, line 2: {message}"):
        list(read_token_tagged(path))


def test_the_real_file_is_read_whole(shared_data):
    samples = list(read_token_tagged(shared_data / "code_switched" / "sagt_tr_de.dev.sample.jsonl"))
    assert len(samples) == 400
    counts = Counter(language for sample in samples for _, _, language in sample.word_languages)
    # 601 OTHER tokens went to the languages of their neighbours.
    assert sum(counts.values()) == 7183
    assert counts["de"] > 3785
    assert counts["tr"] > 2712
    assert set(counts) == {"de", "tr", "mul", "und"}
    for sample in samples:
        words = [sample.context[0][start:end] for start, end, _ in sample.word_languages]
        assert "".join("".join(words).split()) == "".join(sample.context[0].split())
