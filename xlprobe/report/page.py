"""The page: summary, figures, numbers and provenance in one file that loads nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xlprobe.plots import FIGURES
from xlprobe.plots.explorer.document import script_of
from xlprobe.plots.palette import DARK, PAPER, dark_css
from xlprobe.plots.scope import checkpoints, switched_pairs
from xlprobe.plots.words import pair_label
from xlprobe.report.inline import inline_svg
from xlprobe.report.summary import TERMS, Summary, linked, summary, with_terms
from xlprobe.report.tables import MAX_ROWS, figure_table
from xlprobe.results import Results

__all__ = ["render"]

DARK_FIGURES = (
    f"@media screen and (prefers-color-scheme: dark) {{ .paper {{ background: {DARK[PAPER]}; }} {dark_css('.paper')} }}"
)
TEMPLATES = Path(__file__).parent / "templates"
GROUPS = {
    "Answers": ("transfer_matrix", "typological_distance"),
    "Stability of attention": (
        "stability_by_layer", "stability_by_head", "heads_that_change", "instability_by_layer", "entropy_and_stability",
        "routing",
    ),
    "Attention across the border": ("cross_lingual_mass", "attention_maps", "query_shares", "query_masks"),
    "Representations": ("neutrality_by_layer", "cka_matrix", "language_identity", "map_of_sentences"),
    "Causes": ("knock_out_effects", "head_importance", "patching_recovery"),
    "Data and training": ("tokens_per_word", "dynamics_over_steps"),
}  # fmt: skip
"""The figures as the page lists them; those that are not here come last."""


def render(
    results: Results,
    drawn: Sequence[str],
    directory: Path,
    left_out: Mapping[str, str] | None = None,
    explorer: str | None = None,
    opening: Summary | None = None,
) -> str:
    """Return the report's html: the figures named in `drawn` are read as svg and csv from `directory`.

    The page holds all it shows; it works offline and loads nothing. `left_out` gives the reason for each figure that
    was not drawn, `explorer` names the attention explorer's page beside it, `opening` is the summary where it is known.
    """
    import jinja2

    from xlprobe import __version__

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    names = checkpoints(results)
    groups = {group: [_figure(name, directory) for name in members] for group, members in _grouped(drawn).items()}
    return environment.get_template("page.html").render(
        title="How checkpoints reason across languages" if len(names) > 1 else f"How {names[0]} reads across languages",
        checkpoints=names,
        pairs=[pair_label(*pair) for pair in switched_pairs(results)],
        summary=_opening(opening or summary(results)),
        terms={_anchor(term): (term, meaning) for term, meaning in TERMS.items()},
        groups=groups,
        figures=[figure for members in groups.values() for figure in members],
        left_out={FIGURES[name].title if name in FIGURES else name: why for name, why in (left_out or {}).items()},
        manifest=_flat({name: value for name, value in results.manifest.items() if name != "attention_maps"}),
        rows=len(results),
        explorer=explorer,
        css=(TEMPLATES / "page.css").read_text(encoding="utf-8") + DARK_FIGURES,
        script=script_of("cells.js") + (TEMPLATES / "page.js").read_text(encoding="utf-8"),
        max_rows=MAX_ROWS,
        version=__version__,
    )


def _opening(opening: Summary) -> dict[str, Any]:
    """Return the page's first table and sentences, in parts of (text, anchor of its definition or None)."""
    return {
        "columns": [_anchored(linked(column)) for column in opening.columns],
        "rows": opening.rows,
        "sentences": [_anchored(linked(sentence)) for sentence in opening.sentences],
    }


def _anchored(pieces: Sequence[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    return [(text, None if term is None else _anchor(term)) for text, term in pieces]


def _anchor(term: str) -> str:
    return "term-" + term.replace(" ", "-")


def _grouped(drawn: Sequence[str]) -> dict[str, list[str]]:
    known = {name for members in GROUPS.values() for name in members}
    wanted = {**GROUPS, "More": tuple(name for name in drawn if name not in known)}
    groups = {group: [name for name in members if name in drawn] for group, members in wanted.items()}
    return {group: members for group, members in groups.items() if members}


def _figure(name: str, directory: Path) -> dict[str, Any]:
    spec = FIGURES[name]
    svg = (directory / f"{name}.svg").read_text(encoding="utf-8")
    return {
        "name": name,
        "title": spec.title,
        "caption": _anchored(with_terms(spec.reading)),
        "svg": inline_svg(svg, name, f"{spec.title}. {spec.reading}"),
        "table": figure_table(directory / f"{name}.csv"),
        "files": [f"{name}.{kind}" for kind in ("pdf", "svg", "png", "csv") if (directory / f"{name}.{kind}").exists()],
    }


def _flat(manifest: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return the manifest as (dotted name, text), in its own order."""
    entries: list[tuple[str, str]] = []
    for name, value in manifest.items():
        if isinstance(value, Mapping) and value:
            entries += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, part in enumerate(value):
                entries += _flat(part, f"{prefix}{name}.{number}.")
        elif isinstance(value, list):
            entries.append((prefix + name, ", ".join(map(str, value)) or "none"))
        else:
            entries.append(
                (prefix + name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
            )
    return entries
