from __future__ import annotations

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers.aligned import aligned, chosen


def test_languages_are_chosen_in_any_form():
    assert chosen(None) is None
    assert chosen("en fr,de") == chosen(["en", "fr", "de", "en"]) == ("en", "fr", "de")
    with pytest.raises(DataError, match="got the language 'x1'"):
        chosen(["en", "x1"])
    for nothing in ("", " , ", []):
        with pytest.raises(DataError, match="got no language"):
            chosen(nothing)


def test_rows_are_yielded_as_they_come():
    def rows(name):
        yield f"{name}1"
        raise RuntimeError("read too far")

    streams = aligned({"en": rows("e"), "fr": rows("f")}, "here")
    assert next(streams) == {"en": "e1", "fr": "f1"}
    with pytest.raises(RuntimeError):
        next(streams)


def test_all_counts_are_told():
    streams = aligned({"en": iter("abc"), "fr": iter("a"), "de": iter("ab")}, "here")
    assert next(streams) == {"en": "a", "fr": "a", "de": "a"}
    with pytest.raises(DataError, match="here: got 3 in en, 1 in fr, 2 in de rows"):
        next(streams)
