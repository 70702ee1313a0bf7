"""Tables that were damaged, or written by something else: the same numbers, or one error; never others."""

from __future__ import annotations

import json
import random

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from xlprobe import Results
from xlprobe.cli import app, run
from xlprobe.errors import ResultsError
from xlprobe.report.summary import summary
from xlprobe.results import ResultsWriter
from xlprobe.results.writer import MANIFEST_KEY


@pytest.fixture
def table(tmp_path):
    """A table whose numbers take up most of its file."""
    generator = np.random.default_rng(0)
    with ResultsWriter(tmp_path, {"arguments": {"base": "en"}, "checkpoints": {"c": {"is_cross_query": False}}}) as out:
        labels = {"sample": [f"s{n}" for n in range(40)], "group": [f"g{n // 2}" for n in range(40)]}
        said = {"checkpoint": "c", "context_language": "en", "question_language": "fr", "reference": "en-en"}
        for metric in ("js_stability", "entropy"):
            out.append(generator.random((40, 8)), labels, metric=metric, layer=0, **said)
    return tmp_path / "results.parquet"


def read(path):
    """Read a table in every way that the report does."""
    results = Results.load(path)
    summary(results)
    results.means(["layer"])
    return results.to_frame(), len(results.select(metric="entropy"))


@pytest.mark.parametrize("count", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_no_damage_of_the_pages_gives_other_numbers(table, count):
    whole, draw, refused = table.read_bytes(), random.Random(count), 0
    frame, rows = read(table)
    for turn in range(count):
        changed = bytearray(whole[: draw.randrange(len(whole))] if turn % 3 == 0 else whole)
        if turn % 3:
            changed[draw.randrange(len(whole) * 3 // 4)] ^= 1 << draw.randrange(8)
        table.write_bytes(changed)
        try:
            found, number = read(table)
        except ResultsError:
            refused += 1
        else:
            pd.testing.assert_frame_equal(found, frame)
            assert number == rows
    assert refused > count // 2


def test_a_changed_manifest_is_refused(table):
    whole = table.read_bytes()
    assert whole.count(b'"is_cross_query": false') == 1
    table.write_bytes(whole.replace(b'"is_cross_query": false', b'"is_cross_query": 12345'))
    with pytest.raises(ResultsError, match="manifest is damaged"):
        Results.load(table)


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, *(json.dumps(one).encode() for one in (
        3, None, {"checkpoints": [1]}, {"checkpoints": {"c": 3}}, {"parts": 5}, {"parts": [3]}, {"arguments": []},
        {"parts": [{"parts": [{"checkpoints": 1}]}]}, {"attention_maps": [1]},
    ))],
)  # fmt: skip
def test_a_manifest_of_another_kind_is_one_line(table, manifest, capsys):
    pq.write_table(pq.read_table(table).replace_schema_metadata({MANIFEST_KEY: manifest}), table)
    assert run(app, ["report", "--results", str(table), "--out", str(table.parent / "out")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot read the table {table}: its manifest is damaged")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.assign(value="much"), "cannot read the table"),
        (lambda frame: frame.assign(layer="first"), "cannot read the table"),
        (lambda frame: frame.drop(columns=["metric", "head"]), "without the columns ['head', 'metric']"),
    ],
)
def test_columns_of_another_kind_are_refused(table, change, message):
    change(Results.load(table).to_frame()).to_parquet(table)
    with pytest.raises(ResultsError) as caught:
        read(table)
    assert message in str(caught.value)


def test_what_pandas_has_written_is_read_as_it_was(table):
    frame, rows = read(table)
    frame.astype({"value": "float64", "layer": "float64"}).assign(more=1).to_parquet(table)
    found, number = read(table)
    pd.testing.assert_frame_equal(found, frame)
    assert number == rows
