"""A problem, its proof and its tokens as HTML, each text in the direction of its language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from xlprobe.languages import get_language, language_code
from xlprobe.samples.types import ParallelSample, Sample

if TYPE_CHECKING:
    from xlprobe.samples.encoding import Encoder

__all__ = ["problem_html", "tokens_html"]

_CELL = "padding:2px 8px;vertical-align:top;text-align:start"


def problem_html(sample: ParallelSample, languages: Sequence[str] | None = None) -> str:
    """Return a table with one column a language and one row a unit; units that the proof uses are marked.

    Text is escaped, and every cell has its language and direction. The proof, where `meta["proof"]` tells it, follows.
    """
    codes = tuple(languages or sample.languages)
    steps = sample.meta.get("proof", ())
    used = {step["statement"]: step["depth"] for step in steps}
    known = [get_language(code) for code in codes]
    head = "".join(
        f'<th dir="{one.direction}" style="{_CELL}"><bdi>{escape(one.name)} ({one.code})</bdi></th>' for one in known
    )
    rows = [f'<tr><th style="{_CELL}"></th>{head}</tr>']
    for unit in range(len(sample.context[codes[0]])):
        mark = f"<b>{unit + 1}</b> [{used[unit]}]" if unit in used else str(unit + 1)
        rows.append(_row(mark, [(code, sample.context[code][unit]) for code in codes], bold=unit in used))
    if sample.question:
        rows.append(_row("?", [(code, sample.question[code]) for code in codes]))
    proof = "".join(
        f"<li>depth {step['depth']}: {escape(step['gives'])} (sentence {step['statement'] + 1}"
        + (f", from: {escape(' '.join(step['from']))}" if step["from"] else "")
        + ")</li>"
        for step in steps
    )
    return f"<table>{''.join(rows)}</table>" + (f"<ol>{proof}</ol>" if proof else "")


def _row(mark: str, texts: Sequence[tuple[str, str]], bold: bool = False) -> str:
    weight = ";font-weight:600" if bold else ""
    cells = "".join(
        f'<td lang="{code}" dir="{get_language(code).direction}" style="{_CELL}{weight}">{escape(text)}</td>'
        for code, text in texts
    )
    return f'<tr><td style="{_CELL}">{mark}</td>{cells}</tr>'


def tokens_html(sample: Sample, encoder: Encoder, colour: Callable[[str], str]) -> str:
    """Return a sample's tokens as an encoder reads them, each on its language's colour, a box for each unit.

    `colour` gives a language's colour as "#rrggbb", as `xlprobe.plots.style.language_colour` does. Special tokens and
    prefixes are grey; a token's unit and language are in its tooltip.
    """
    batch = encoder.encode([sample])
    tokens = encoder.tokenizer.convert_ids_to_tokens(batch.input_ids[0].tolist())
    rows = zip(tokens, batch.unit_ids[0].tolist(), batch.language_ids[0].tolist(), strict=True)
    boxes = []
    for unit, members in groupby(rows, key=lambda row: row[1]):
        group = list(members)
        direction = get_language(language_code(group[0][2])).direction if unit >= 0 else "ltr"
        margin = "display:inline-block;margin:2px 6px"
        boxes.append(f'<span dir="{direction}" style="{margin}">{"".join(_tokens(group, unit, colour))}</span>')
    main = get_language(sample.context_language).direction
    return f'<div dir="{main}" style="line-height:2">{"".join(boxes)}</div>'


def _tokens(group: Sequence[tuple[str, int, int]], unit: int, colour: Callable[[str], str]) -> Iterator[str]:
    for token, _, number in group:
        code = language_code(number)
        shade = colour(code) if unit >= 0 else "#888888"
        about = f"unit {unit}, {get_language(code).name}" if unit >= 0 else "special token or prefix"
        style = f"background:{shade}33;border-bottom:2px solid {shade};padding:1px 2px;margin:1px"
        yield f'<span title="{escape(about)}" style="{style}">{escape(token)}</span>'
