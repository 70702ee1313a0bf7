from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xlprobe.errors import DataError
from xlprobe.samples import ParallelSample, Sample
from xlprobe.samples.readers import read_jsonl, write_jsonl

CODES = ["en", "ar", "zh", "sw"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
META = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
)


@st.composite
def any_samples(draw):
    found = []
    for number in range(draw(st.integers(1, 3))):
        codes = draw(st.permutations(CODES))[: draw(st.integers(1, 4))]
        size = draw(st.integers(1, 3))
        context = {code: tuple(draw(st.lists(TEXT, min_size=size, max_size=size))) for code in codes}
        question = {code: draw(TEXT) for code in codes} if draw(st.booleans()) else {}
        number_or_none = st.none() | st.integers(0, 9)
        key = f"{draw(TEXT)}{number}"
        found.append(
            ParallelSample(
                key, draw(TEXT), draw(TEXT), context, question, draw(number_or_none), draw(number_or_none), draw(META)
            )
        )
    return list({sample.key: sample for sample in found}.values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=any_samples(), zipped=st.booleans())
def test_what_is_written_comes_back(tmp_path, samples, zipped):
    path = tmp_path / ("a.jsonl.gz" if zipped else "a.jsonl")
    assert write_jsonl(samples, path) == len(samples)
    back = list(read_jsonl(path))
    assert back == samples
    assert [list(sample.context) for sample in back] == [list(sample.context) for sample in samples]


def problem(number=0, **changes):
    sample = ParallelSample(
        f"k{number}",
        "g",
        "d",
        {"en": ("A b.", "C."), "ar": ("ا ب.", "ج.")},
        {"en": "Q?", "ar": "س؟"},
        1,
        2,
        {"x": [1]},
        ("no", "yes"),
    )
    return replace(sample, **changes)


def test_separators_of_unicode_are_escaped(tmp_path):
    sample = problem(question={"en": "a\u2028b\x85c\u2029d", "ar": "س"})
    write_jsonl([sample], tmp_path / "a")
    text = (tmp_path / "a").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 1
    assert "س" in text
    assert list(read_jsonl(tmp_path / "a")) == [sample]


def test_the_same_samples_give_the_same_bytes(tmp_path):
    samples = [problem(n) for n in range(3)]
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_jsonl(samples, tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_some_languages_are_kept(tmp_path):
    write_jsonl([problem()], tmp_path / "a")
    (sample,) = read_jsonl(tmp_path / "a", languages=["ar"])
    assert sample.languages == ("ar",)
    assert set(sample.question) == {"ar"}
    (sample,) = read_jsonl(tmp_path / "a", languages="ar, en")
    assert sample.languages == ("ar", "en")
    with pytest.raises(DataError, match="a, line 1: sample 'k0' exists in en ar, not in 'fr'"):
        list(read_jsonl(tmp_path / "a", languages=["fr"]))


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.jsonl"
    write_jsonl([problem()], path)
    before = path.read_bytes()

    def failing():
        yield problem()
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_jsonl(failing(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([problem(), problem()], "two samples of the key 'k0'"),
        ([problem(meta={"x": (1, 2)})], "would not come back as it is"),
        ([problem(meta={1: "x"})], "would not come back as it is"),
        ([problem(meta={"x": float("nan")})], "cannot be written as JSON"),
        ([problem(meta={"x": object()})], "cannot be written as JSON"),
        ([problem(key="a\ud800")], "cannot be written as JSON"),
        ([problem(context={"en": ("A.", " "), "ar": ("ا", "ب")})], "none empty"),
        ([problem(context={"x1": ("A.",)}, question={})], "got the language 'x1'"),
        ([Sample("k", "g", "d", "en", "en", ("A.",), None)], "got a Sample; expected a ParallelSample"),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, samples, message):
    with pytest.raises(DataError, match=message):
        write_jsonl(samples, tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        write_jsonl([problem()], tmp_path / "file" / "a.jsonl")
    with pytest.raises(DataError, match="cannot write"):
        write_jsonl([problem()], tmp_path)


ROW = {"key": "a", "context": {"en": ["A."]}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"key": "a"}, "has no 'context'"),
        ({"context": {"en": ["A."]}}, "has no 'key'"),
        ({"key": "a", "context": {}}, "at least one"),
        ({"key": "a", "context": {"en": []}}, "expected a list of sentences"),
        ({"key": "a", "context": {"en": "A."}}, "'en' is 'A.'; expected a list"),
        ({"key": "a", "context": {"en": ["A.", 1]}}, "expected a list of sentences"),
        ({"key": "a", "context": {"x1": ["A."]}}, "got the language 'x1'"),
        ({"key": "a", "context": {"en": ["A."], "fr": ["B.", "C."]}}, "aligned by position"),
        (ROW | {"question": {"fr": "Q?"}}, "expected the same languages"),
        (ROW | {"question": {"en": None}}, "'en' is None; expected a text"),
        (ROW | {"label": True}, "'label' is True; expected an integer or null"),
        (ROW | {"label": "1"}, "'label' is '1'"),
        (ROW | {"label": -1}, "got the label -1; expected a whole number from 0"),
        (ROW | {"label": 10**30}, "got the label 10+; expected a whole number from 0 to 2147483647"),
        (ROW | {"label": 2, "label_names": ["False", "True"]}, r"from 0 to 1 \(False, True\)"),
        (ROW | {"label_names": ["a", "a"]}, "'label_names' is .* expected different texts"),
        (ROW | {"depth": 1.5}, "'depth' is 1.5"),
        (ROW | {"meta": []}, "'meta' is \\[\\]; expected an object"),
        (ROW | {"format": "xlprobe-9"}, "has format 'xlprobe-9'; expected 'xlprobe-1'"),
        (ROW | {"key": "first"}, "the key 'first' was there before"),
    ],
)
def test_a_broken_row_is_named_with_its_line(tmp_path, rows, row, message):
    path = rows.write(tmp_path / "broken.jsonl", [ROW | {"key": "first"}, row])
    with pytest.raises(DataError, match=f"broken.jsonl, line 2.*{message}"):
        list(read_jsonl(path))


def test_optional_fields_have_defaults(tmp_path):
    (tmp_path / "a").write_text(json.dumps(ROW), encoding="utf-8")
    (sample,) = read_jsonl(tmp_path / "a")
    assert sample == ParallelSample("a", "a", "jsonl", {"en": ("A.",)})
