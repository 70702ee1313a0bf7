"""What the table says: one table and at most five sentences, each claim by the one rule of `statistics.verdict`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xlprobe.report.headline import BLOCKS, Measured, as_table, measured
from xlprobe.results import Results
from xlprobe.statistics import MIN_GROUPS, verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CONFOUNDED", "TERMS", "Summary", "linked", "plain", "summary", "with_terms"]

CONFOUNDED = 0.05
"""From which difference in accuracy on a comparison is said to be confounded with training success."""

TERMS = {
    "stability": "How alike a head's attention is in two versions of a problem: 1 minus the Jensen-Shannon divergence "
    "in bits; 1 is the same, 0 has nothing in common.",
    "floor": "The stability of another question about the same facts, in one language: what any other question costs, "
    "without a language border.",
    "chance": "The stability of another theory: what two problems have in common that share no facts.",
    "above floor": "Stability across languages minus floor, problem by problem. 0: a language border costs what "
    "another question costs; below 0: it costs more.",
    "lift": "How much more the question attends to the context than evenly spread attention would, in log odds; here, "
    "how much a language border changes it.",
    "retrieval": "How often a sentence's nearest neighbour in another language is its translation, language means "
    "removed, at the layer that is best on the other half of the sentences.",
    "both queries": "A cross-query model puts a second query to work across languages. Here its version in one "
    "language is read with both queries too, so that only the language differs.",
    "code-switched": "The context is in one language and the question in another; in-language: both are in the same.",
    "theory": "A set of facts and rules; the questions about one theory count together. Intervals are 95 %, over "
    f"theories, and need at least {MIN_GROUPS} of them. Each difference is one test at 5 %, not adjusted for others.",
    "training run": "One model trained from one seed. Two single runs may differ by chance of training alone.",
    "confounded": "A model that solves fewer problems may attend differently for that reason, whatever its mechanism.",
}
"""The words of art of the page, and what they mean."""

_NAMES = dict(zip(BLOCKS, ("question to context", "context to context", "first token to context"), strict=True))


_LINK = re.compile(r"\[([A-Za-z -]+)(?:\|([a-z -]+))?\]")


@dataclass(frozen=True)
class Summary:
    """The page's opening: columns and rows of its table, and its sentences.

    `numbers` are what cells and sentences say, unrounded. In columns and sentences `[floor]` and `[theories|theory]`
    are links to a definition of `TERMS`; see `linked`.
    """

    columns: list[str]
    rows: list[list[str]]
    sentences: list[str]
    numbers: pd.DataFrame


def summary(results: Results) -> Summary:
    """Return the page's opening, as far as the table's rows go."""
    numbers = measured(results)
    columns = _columns(numbers)
    said = [_scope(numbers), _solved(numbers), _stable(numbers), _crosses(numbers)]
    return Summary(
        ["checkpoint", *(name for name, _ in columns)],
        [[name, *(cells.get(name, "not measured") for _, cells in columns)] for name in numbers.names],
        [sentence for sentence in said if sentence],
        as_table(numbers),
    )


def linked(text: str) -> list[tuple[str, str | None]]:
    """Return a text in parts, each with the term that it links to, or None."""
    pieces: list[tuple[str, str | None]] = []
    end = 0
    for match in _LINK.finditer(text):
        term = match[2] or match[1]
        if term in TERMS:
            pieces += [(text[end : match.start()], None), (match[1], term)]
            end = match.end()
    return [piece for piece in [*pieces, (text[end:], None)] if piece[0]]


def with_terms(text: str) -> list[tuple[str, str | None]]:
    """Return a caption in parts, as `linked` does: the first time that it says a term, the word links to it."""
    wanted = "|".join(re.escape(term) for term in sorted(TERMS, key=len, reverse=True))
    said: set[str] = set()

    def link(match: re.Match[str]) -> str:
        term = match[0].lower()
        if term in said:
            return match[0]
        said.add(term)
        return f"[{match[0]}|{term}]"

    # Brackets that a caption has of its own are no links: they hold no term.
    return linked(re.sub(rf"(?<![\w-])(?:{wanted})(?![\w-])", link, text, flags=re.IGNORECASE))


def plain(text: str) -> str:
    """Return a text without its links."""
    return "".join(part for part, _ in linked(text))


def _columns(numbers: Measured) -> list[tuple[str, dict[str, str]]]:
    """Return the table's columns: heading, and a cell per checkpoint."""
    columns = [("[training runs|training run]", {name: str(count) for name, count in numbers.runs.items()})]
    for across, heading in ((False, "right in one language"), (True, "right across languages")):
        rows = None if numbers.accuracy is None else numbers.accuracy[numbers.accuracy["across"] == across]
        columns.append((heading, _cells(rows, percent=True)))
    for block in BLOCKS:
        rows = numbers.stability
        if rows is not None:
            rows = rows[(rows["block"] == block) & (rows["condition"] == "observed")]
        columns.append((f"stability [above floor], {_NAMES[block]}", _cells(rows, signed=True)))
    columns.append(("change of [lift] at the border", _cells(numbers.lift, signed=True)))
    columns.append(("[retrieval]", _cells(numbers.retrieval, percent=True)))
    return [(name, cells) for name, cells in columns if cells]


def _cells(rows: pd.DataFrame | None, percent: bool = False, signed: bool = False) -> dict[str, str]:
    if rows is None:
        return {}
    return {str(row["checkpoint"]): _cell(row, percent, signed) for _, row in rows.iterrows()}


def _cell(row: pd.Series, percent: bool, signed: bool) -> str:
    if math.isnan(row["mean"]):
        return "undefined"
    scale, form = (100, "{:.1f}") if percent else (1, "{:+.3f}" if signed else "{:.3f}")
    value = form.format(scale * row["mean"]) + (" %" if percent else "")
    if math.isnan(row["low"]):
        return _minus(f"{value} ({row['reason']})")
    return _minus(f"{value} [{form.format(scale * row['low'])}, {form.format(scale * row['high'])}]")


def _minus(text: str) -> str:
    return re.sub(r"-(?=\d)", "−", text)


def _count(number: int, one: str) -> str:
    return f"{number:,} {one if number == 1 else one + 's'}"


def _scope(numbers: Measured) -> str:
    """What was measured, and what the numbers can speak of."""
    theories = f"{numbers.theories:,} {'[theory]' if numbers.theories == 1 else '[theories|theory]'}"
    what = f"{_count(numbers.problems, 'problem')} from {theories}" if numbers.problems else "sets of sentences"
    text = f"{_count(len(numbers.names), 'checkpoint')} on {what}"
    if numbers.problems and numbers.theories < MIN_GROUPS:
        return f"{text}: too few for an interval or a claim, which need {MIN_GROUPS} [theories|theory]."
    runs = sorted({numbers.runs.get(name, 1) for name in numbers.names})
    if runs == [1]:
        which, each = ("this checkpoint", "") if len(numbers.names) == 1 else ("these checkpoints", " each")
        return f"{text}, one [training run]{each}: this speaks of {which}, not of the mechanism."
    count = " to ".join(str(number) for number in dict.fromkeys((runs[0], runs[-1])))
    return f"{text}, {count} [training runs|training run] each: what has several speaks of new runs."


def _solved(numbers: Measured) -> str | None:
    """How well each solves problems in one language, and whether that confounds the rest."""
    rows, answer = numbers.accuracy, numbers.solved
    if rows is None or numbers.pair is None:
        return None
    own = rows[(~rows["across"]) & rows["checkpoint"].isin(numbers.pair) & rows["mean"].notna()]
    shares = {str(row["checkpoint"]): 100 * float(row["mean"]) for _, row in own.iterrows()}
    if set(shares) != set(numbers.pair):
        return None
    first, second = numbers.pair
    text = f"In one language {first} solves {shares[first]:.1f} % of the problems and {second} {shares[second]:.1f} %"
    gap, most = abs(shares[first] - shares[second]), 100 * CONFOUNDED
    if gap > most:
        return f"{text}: they differ by {gap:.1f} points, so that the comparison is [confounded] with training success."
    if answer is None or math.isnan(answer["low"]):
        return f"{text}: too few problems to tell whether the comparison is [confounded] with training success."
    low, high = 100 * answer["low"], 100 * answer["high"]
    if max(abs(low), abs(high)) <= most:
        return f"{text}, which is near enough to compare them."
    between = _minus(f"between {low:+.1f} and {high:+.1f} points")
    return f"{text}: their difference lies {between}, so that the comparison may be [confounded] with training success."


def _stable(numbers: Measured) -> str | None:
    """Whether attention is more or less stable above floor in one checkpoint than in the other."""
    if numbers.pair is None or numbers.differs is None:
        return _alone(numbers)
    first, second = numbers.pair
    answer = numbers.differs
    if math.isnan(answer["estimate"]):
        return None
    if verdict(answer)[0]:
        claim = (
            f"its attention to the context is {_more(answer)} [stable|stability] [above floor] in {first} than in "
            f"{second}"
        )
    else:
        claim = f"no difference in [stability] [above floor] is shown between {first} and {second}"
    text = (
        f"When the question changes language, {claim}: {_difference(answer, numbers)}; as observed, with [floor] left "
        f"on, {_signed(answer['raw'])}"
    )
    if numbers.routed is not None and not math.isnan(numbers.routed["estimate"]):
        text += f". With [both queries] of {first} at work in one language too: {_difference(numbers.routed, numbers)}"
    return text + "."


def _alone(numbers: Measured) -> str | None:
    """Whether a language border costs one checkpoint more than another question does."""
    rows = numbers.stability
    if rows is None or len(numbers.names) != 1:
        return None
    rows = rows[(rows["block"] == BLOCKS[0]) & (rows["condition"] == "observed")]
    if rows.empty or math.isnan(rows.iloc[0]["mean"]):
        return None
    return (
        f"When the question changes language, the [stability] of its attention to the context is, [above floor], "
        f"{_cell(rows.iloc[0], percent=False, signed=True)}."
    )


def _crosses(numbers: Measured) -> str | None:
    """Whether a language border takes more attention away in one checkpoint than in the other."""
    if numbers.pair is None or numbers.crosses is None or math.isnan(numbers.crosses["estimate"]):
        return None
    first, second = numbers.pair
    answer = numbers.crosses
    if verdict(answer)[0]:
        claim = f"leaves {_more(answer)} [lift] of attention from question to context in {first} than in {second}"
    else:
        claim = (
            f"is not shown to change the [lift] from question to context by another amount in {first} than in {second}"
        )
    return f"A language border {claim}: {_difference(answer, numbers)}."


def _more(answer: pd.Series) -> str:
    return "more" if answer["estimate"] > 0 else "less"


def _signed(value: float) -> str:
    return _minus(f"{value:+.3f}")


def _difference(answer: pd.Series, numbers: Measured) -> str:
    """Return a difference with its interval and p, or why it has none, and over how many training runs it is."""
    if math.isnan(answer["low"]):
        return f"{_signed(answer['estimate'])} ({answer['reason']})"
    ends = f"[{_signed(answer['low'])}, {_signed(answer['high'])}]"
    return f"{_signed(answer['estimate'])} {ends}, {_chance(answer['p'])}, {_over(answer, numbers)}"


def _over(answer: pd.Series, numbers: Measured) -> str:
    if answer["n_seeds"] > 1:
        return f"over {answer['n_seeds']} runs"
    alone = all(numbers.runs.get(name, 1) == 1 for name in numbers.pair or ())
    return "one run each" if alone else "over the one run that both have"


def _chance(p: float) -> str:
    return "no p" if math.isnan(p) else f"p {'< .0001' if p < 1e-4 else f'= {p:.4f}'}"
