"""The masks of the two queries on one problem, token by token, in both schemes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xlprobe.plots.facts import require
from xlprobe.plots.figures import FigureSpec, once
from xlprobe.plots.heat import bare
from xlprobe.plots.kept_rows import told
from xlprobe.plots.maps import telling_pair
from xlprobe.plots.style import QUIET, caption, language_colour, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlprobe.results import Results

__all__ = ["FIGURES", "query_masks"]

P_MASK = 0.7
"""Both masking probabilities of the interfering scheme in training (arXiv 2310.15258, section 4)."""

SCHEMES = {
    "one language": (True, 1.0),
    "two languages, non-interfering": (False, 1.0),
    "two languages, interfering": (False, P_MASK),
}


def _needs(results: Results) -> str | None:
    if told(results) is None:
        return "the table has no kept pattern of a problem; it takes measure(..., keep_patterns) and attention_rows"
    return None


def _tokens(results: Results) -> tuple[tuple[str, str], list[int]]:
    """Return the pair of languages, and every token's segment (0: context, 1: question), of one kept version."""
    facts = told(results) or {}
    pair = telling_pair(results)
    for places in facts["tokens"].values():
        if "-".join(pair) in places:
            return pair, places["-".join(pair)]["segments"]
    return pair, []


@once
def masks_table(results: Results) -> pd.DataFrame:
    """Return the share of open cells per scheme, query, and segments of the asking and the attended token."""
    import pandas as pd

    _, segments = _tokens(results)
    parts = np.array(segments)
    names = ("context", "question")
    rows = []
    for scheme, masks in _masks(segments).items():
        for query, mask in masks.items():
            for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
                cell = mask[np.ix_(parts == a, parts == b)]
                rows.append((scheme, query, f"{names[a]}->{names[b]}", float(cell.mean()), cell.size))
    return pd.DataFrame(rows, columns=["scheme", "mask", "block", "open", "cells"])


def _masks(segments: list[int]) -> dict[str, dict[str, np.ndarray]]:
    import torch

    from xlprobe.encoders.masks import language_masks

    found = {}
    for name, (one, probability) in SCHEMES.items():
        languages = torch.tensor([[1 if one else 1 + segment for segment in segments]])
        pair = language_masks(languages, None, probability, probability, seed=torch.tensor([0]))
        found[name] = {label: mask[0].numpy() for label, mask in zip(("M1 (Q)", "M2 (Q_cross)"), pair, strict=True)}
    return found


def query_masks(
    results: Results, *, mask: str = "M2 (Q_cross)", scheme: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw which pairs of tokens each query may look at: in one language, and across two in both schemes.

    Dark cells are open. The first token's row and column are always open. With `ax`, one mask of one scheme.
    """
    require(_needs(results))
    pair, segments = _tokens(results)
    found = _masks(segments)

    def one(axes: Axes, scheme: str, mask: str) -> None:
        bare(axes)
        axes.imshow(found[scheme][mask], vmin=0, vmax=1.25, cmap="Blues", aspect="equal")
        border = segments.index(1) if 1 in segments else len(segments)
        same = scheme == "one language"
        axes.axhline(border - 0.5, color=QUIET, linewidth=0.8)
        axes.axvline(border - 0.5, color=QUIET, linewidth=0.8)
        middles = [(border - 1) / 2, (border + len(segments) - 1) / 2]
        codes = [pair[0], pair[0] if same else pair[1]]
        labels = [f"context ({codes[0]})", f"question ({codes[1]})"]
        axes.set_xticks(middles, labels)
        axes.set_yticks(middles, labels, rotation=90, va="center")
        for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
            for tick, code in zip(ticks, codes, strict=True):
                tick.set_color(language_colour(code))
                tick.set_fontsize(10)

    if ax is not None:
        one(ax, scheme or list(SCHEMES)[1], mask)
        return ax.figure  # type: ignore[return-value]
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11.0, 8.4), layout="constrained")
        grid = figure.subplots(2, len(SCHEMES), squeeze=False)
        for row, label in zip(grid, ("M1 (Q)", "M2 (Q_cross)"), strict=True):
            for axes, name in zip(row, SCHEMES, strict=True):
                one(axes, name, label)
                axes.set_title(f"{label}\n{name}", fontsize=11.5)
        caption(
            figure,
            "Which tokens may each query look at?",
            f"Tokens of problem {(told(results) or {}).get('sample')}. Dark: open. Rows ask, columns are looked at. "
            "The first token is open to all. Evaluation is non-interfering; in fine-tuning (interfering) each "
            f"query also sees the other's pairs with probability {1 - P_MASK:.1f}.",
        )
    return figure


FIGURES = {
    "query_masks": FigureSpec(
        "Masks of the two queries",
        "The pairs of tokens that the query of one language (M1) and the cross-lingual query (M2) may look at, for a "
        "problem in one language and in two, with and without interference.",
        _needs,
        query_masks,
        masks_table,
    )
}
