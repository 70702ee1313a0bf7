from __future__ import annotations

import io

import pandas as pd

from xlprobe.files import table_text


def test_no_cell_is_a_formula_for_a_spreadsheet():
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "fine", "", None, "a=1"]
    frame = pd.DataFrame({"=name": texts, "value": [-1.5, *range(9)], "whole": range(-5, 5)})
    frame["kind"] = pd.Categorical(["-a", *["b"] * 9])
    back = pd.read_csv(io.StringIO(table_text(frame)), keep_default_na=False)
    cells = [str(cell) for column in ("'=name", "kind") for cell in [column, *back[column]]]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert back["kind"].tolist() == ["'-a", *["b"] * 9]
    assert back["value"].tolist() == frame["value"].tolist()
    assert back["whole"].tolist() == frame["whole"].tolist()


def test_a_table_without_such_texts_is_as_pandas_writes_it():
    frame = pd.DataFrame({"pair": ["en-fr", "fr-en"], "value": [0.123456789, -2.0], "flag": [True, False]})
    assert table_text(frame) == frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
