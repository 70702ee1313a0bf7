from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers import read_parallel_text


def test_pairs_are_a_sentence_and_its_translation(tmp_path):
    path = tmp_path / "news.8way.tsv"
    path.write_bytes('\ufeffen\tfa\r\nHello.\tسلام.\r\n"line\u2028sep" \tدو'.encode())
    first, second = read_parallel_text(path)
    pair = first.pair("en", "fa")
    assert (pair.context, pair.question, pair.label) == (("Hello.",), "سلام.", None)
    assert second.context["en"] == ('"line\u2028sep"',)
    assert (first.key, second.key, first.dataset) == ("news-1", "news-2", "news")
    (only, _) = read_parallel_text(path, languages=["fa"], dataset="other")
    assert (only.languages, only.key) == (("fa",), "other-1")
    with pytest.raises(DataError, match="line 2: has the languages en fa, not de"):
        list(read_parallel_text(path, languages="en de"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("en\tfr\nA\tB\nonly one column\n", "line 3: has 1 columns; expected 2"),
        ("en\tfr\nA\tB\tC\n", "line 2: has 3 columns; expected 2"),
        ("en\tfr\nA\t \n", "line 2: 'fr' is empty"),
        ("en\tfr\nA\t\n", "line 2: 'fr' is None"),
        ("en\tfr\n\t\nA\tB\n", "line 2: is blank"),
        ("en\tfr\nA\tB\n\nA\tB\n", "line 3: is blank"),
        ("en\tfr\n", "has a header and no rows"),
        ("en\ten\nA\tB\n", "line 1: got the header .* expected different names"),
        ("en\n", "its first line is 'en'"),
        ("en\tenglish\nA\tB\n", "line 2: has a column of no language: got the language 'english'"),
        ("", "is empty"),
    ],
)
def test_broken_tables_are_named(tmp_path, text, message):
    path = tmp_path / "p.tsv"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(DataError, match=rf"p\.tsv.*{message}"):
        list(read_parallel_text(path))


def test_the_real_file_is_read_whole(shared_data):
    samples = list(read_parallel_text(shared_data / "ntrex" / "ntrex.8way.tsv"))
    assert len(samples) == 1497
    assert {sample.languages for sample in samples} == {("en", "fr", "de", "es", "ru", "ar", "fa", "zh")}
    assert samples[0].context["en"] == ("Welsh AMs worried about 'looking like muppets'",)
