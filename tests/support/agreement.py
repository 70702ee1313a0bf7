"""Whether a report agrees with itself: page, first table, sentences, captions and the numbers beside them."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from xlprobe.report.summary import CONFOUNDED
from xlprobe.report.tables import figure_table
from xlprobe.statistics import verdict

COLUMNS = {
    "right in one language": {"quantity": "accuracy", "across": "False"},
    "right across languages": {"quantity": "accuracy", "across": "True"},
    "stability above floor, question to context": {"quantity": "stability above floor", "block": "question->context"},
    "stability above floor, context to context": {"quantity": "stability above floor", "block": "context->context"},
    "stability above floor, first token to context": {"quantity": "stability above floor", "block": "cls->context"},
    "change of lift at the border": {"quantity": "change of lift"},
    "retrieval": {"quantity": "retrieval"},
}
DIFFERENCES = {
    "difference of stability above floor": (r"is (more|less) stable above floor in", r"no difference in stability"),
    "difference of change of lift": (r"leaves (more|less) lift", r"is not shown to change the lift"),
}
NUMBER = r"[+−-]?\d+(?:\.\d+)?"


def disagreements(directory: Path) -> list[str]:
    """What in a report contradicts what; nothing where all agrees."""
    page = (directory / "report.html").read_text(encoding="utf-8")
    numbers = pd.read_csv(directory / "summary.csv").astype({"checkpoint": str})
    sentences = [text(one) for one in re.findall(r"<li>(.*?)</li>", cut(page, '<ul class="plain sentences">', "</ul>"))]
    drawn = {path.stem: path for path in sorted(directory.glob("*.csv")) if path.stem != "summary"}
    manifest = json.loads((directory / "manifest.json").read_text()) if (directory / "manifest.json").exists() else {}
    found = first_table(page, numbers) + said(sentences, numbers, manifest) + recomputed(numbers, drawn)
    for name, path in drawn.items():
        found += [f"{name}: {what}" for what in [*page_table(page, name, path), *caption(directory, name)]]
    return found


def text(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def cut(page: str, start: str, end: str) -> str:
    begin = page.index(start) + len(start)
    return page[begin : page.index(end, begin)]


def number(value: str) -> float:
    return float(value.replace("−", "-"))


def near(shown: str, value: float, scale: float = 1) -> bool:
    """Whether a number is as shown, to the digits that are shown."""
    digits = len(shown.partition(".")[2])
    return abs(number(shown) - scale * value) <= 0.5 * 10**-digits + 1e-4 * abs(scale * value)


def first_table(page: str, numbers: pd.DataFrame) -> list[str]:
    table = cut(page, '<table class="headline">', "</table>")
    heads = [text(one) for one in re.findall(r"<th scope=\"col\">(.*?)</th>", table)]
    found = [f"the first table lacks {name}" for name, of in COLUMNS.items()
             if name not in heads and len(picked(numbers, of))]  # fmt: skip
    for row in re.findall(r"<tr>(<th scope=\"row\">.*?)</tr>", table):
        cells = dict(zip(heads, map(text, re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)), strict=True))
        for name, of in COLUMNS.items():
            own = picked(numbers, of | {"checkpoint": cells["checkpoint"]})
            cell = cells.get(name, "not measured")
            if len(own) != (0 if cell == "not measured" else 1):
                found.append(f"{cells['checkpoint']}, {name}: {cell}, of {len(own)} rows")
            elif len(own) and not agrees(cell, own.iloc[0], 100 if "%" in cell else 1):
                found.append(
                    f"{cells['checkpoint']}, {name}: {cell}, not {own.iloc[0][['mean', 'low', 'high']].tolist()}"
                )
    return found


def picked(numbers: pd.DataFrame, of: dict[str, str]) -> pd.DataFrame:
    rows = numbers
    for name, value in of.items():
        rows = rows[rows[name].astype(str) == value] if name in rows else rows.iloc[:0]
    return rows[rows["condition"].isna() | (rows["condition"] == "observed")] if "condition" in rows else rows


def agrees(cell: str, row: pd.Series, scale: float) -> bool:
    shown = re.findall(NUMBER, cell.partition("(")[0])
    wanted = [row["mean"], row["low"], row["high"]]
    if np.isnan(row["mean"]):
        return cell == "undefined"
    if np.isnan(row["low"]):
        return len(shown) == 1 and near(shown[0], row["mean"], scale) and str(row["reason"]) in cell
    return len(shown) == 3 and all(near(one, value, scale) for one, value in zip(shown, wanted, strict=True))


def said(sentences: list[str], numbers: pd.DataFrame, manifest: dict) -> list[str]:
    found = [] if len(sentences) <= 5 else [f"{len(sentences)} sentences"]
    found += [f"{one!r} has a nan" for one in sentences if "nan" in one.lower()]
    for quantity, (claim, none) in DIFFERENCES.items():
        for _, row in numbers[numbers["quantity"] == quantity].iterrows():
            about = [one for one in sentences if re.search(claim, one) or re.search(none, one)]
            may = int(verdict(row)[0])
            word = {1: "more", -1: "less", 0: None}[may]
            told = re.search(claim, about[0]) if about else None
            if len(about) != (0 if np.isnan(row["mean"]) else 1) or (told[1] if told else None) != word:
                found.append(f"{quantity}: the verdict is {may}, and {about} is said")
            elif about and not np.isnan(row["low"]):
                shown = re.search(rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\], p", about[0])
                if not shown or not all(map(near, shown.groups(), row[["mean", "low", "high"]])):
                    found.append(f"{about[0]!r}, not {row[['mean', 'low', 'high']].tolist()}")
    for one in sentences:
        if shown := re.search(rf"solves ({NUMBER}) % of the problems and .* ({NUMBER}) %", one):
            gap, most = abs(number(shown[1]) - number(shown[2])), 100 * CONFOUNDED
            between = re.search(rf"between ({NUMBER}) and ({NUMBER}) points", one)
            possible = max((abs(number(end)) for end in between.groups()), default=0) if between else gap
            if abs(gap - most) > 0.1 and ("confounded" in one) != (max(gap, possible) > most):
                found.append(f"{one!r}: a gap of {gap:.1f} points")
    data = manifest.get("data", {})
    counted = re.search(r"([\d,]+) problems? from ([\d,]+) theor", sentences[0])
    if data and counted and [int(n.replace(",", "")) for n in counted.groups()] != [data["samples"], data["groups"]]:
        found.append(f"{sentences[0]!r}, but {data['samples']} problems of {data['groups']} theories were measured")
    return found


def recomputed(numbers: pd.DataFrame, drawn: dict[str, Path]) -> list[str]:
    """The first table's means again, from the numbers of the figures."""
    found = []
    for name, own, of in (
        ("transfer_matrix", "accuracy", {"quantity": "accuracy"}),
        ("stability_by_layer", "S − floor", COLUMNS["stability above floor, question to context"]),
        ("cross_lingual_mass", "change by the border", COLUMNS["change of lift at the border"]),
    ):
        if name not in drawn:
            continue
        table = pd.read_csv(drawn[name])
        table = table[(table["quantity"] == own) & table["mean"].notna() & table["seed"].isna()
                      if "seed" in table else table["quantity"] == own]  # fmt: skip
        across = (table["context_language"] != table["question_language"]).astype(str)
        for _, row in picked(numbers, of).iterrows():
            rows = table[table["checkpoint"] == row["checkpoint"]]
            if name == "transfer_matrix":
                rows = rows[across[rows.index] == str(row["across"])]
            mean = np.average(rows["mean"], weights=rows["n"]) if rows["n"].sum() else np.nan
            if not np.isclose(mean, row["mean"], rtol=1e-4, atol=2e-5, equal_nan=True):
                found.append(f"{row['checkpoint']}: {own} is {row['mean']:.5f} in the summary, {mean:.5f} in {name}")
    return found


def page_table(page: str, name: str, path: Path) -> list[str]:
    if f'<section id="{name}"' not in page:
        return ["it is not on the page"]
    section = cut(page, f'<section id="{name}"', "</section>")
    table = figure_table(path)
    assert table is not None
    rows = re.findall(r"<tr>(<td.*?)</tr>", section)
    cells = [[html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]
    wanted = [[shown for shown, _ in row] for row in table.rows]
    return [] if cells == wanted else ["the page's table is not its csv"]


def caption(directory: Path, name: str) -> list[str]:
    """What the words in a figure say of its numbers."""
    svg, table = (directory / f"{name}.svg").read_text(encoding="utf-8"), pd.read_csv(directory / f"{name}.csv")
    words = " ".join(text(one) for one in re.findall(r"<text[^>]*>(.*?)</text>", svg, re.DOTALL)).replace("\xa0", " ")
    found = []
    whole = table[table["seed"].isna()] if "seed" in table else table
    if (
        "low" in table
        and (re.search(r"(Bands|Whiskers|bands): 95 % intervals", words) is not None)
        and (table["low"].isna().all())
    ):
        found.append("intervals are promised, and none is there")
    if "held" in table and (shown := re.search(r"Dots: (\d+) of (\d+) changes", words)):
        change = table[table["quantity"] == "change"]
        counts = [int((change["held"].astype(str) == "True").sum()), len(change)]
        if [int(one) for one in shown.groups()] != counts:
            found.append(f"{shown[0]}, but there are {counts}")
    shown = re.search(r"Undefined where [a-z ]+: (\d+) of (\d+)", words)
    if shown:
        undefined = int(whole["reason"].str.match("chance is|the mean below").sum())
        found += (
            [] if [int(one) for one in shown.groups()] == [undefined, len(whole)] else [f"{shown[0]} is miscounted"]
        )
    if re.search(r"\b1 (theories|problems|sentences)\b|\bnan\b", words):
        found.append("a number without its word, or a nan")
    return found
