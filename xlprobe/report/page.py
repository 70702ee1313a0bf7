"""The page: summary, figures, numbers, explorer and provenance in one file that loads nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xlprobe.plots import FIGURES
from xlprobe.plots.explorer import explorer_data, explorer_parts
from xlprobe.plots.facts import checkpoints, pair_label, switched_pairs
from xlprobe.report.inline import inline_svg
from xlprobe.report.summary import summary
from xlprobe.report.tables import MAX_ROWS, figure_table
from xlprobe.results import Results

__all__ = ["explorer_data", "kept_explorer", "render"]

TEMPLATES = Path(__file__).parent / "templates"


def render(
    results: Results,
    drawn: Sequence[str],
    directory: Path,
    left_out: Mapping[str, str] | None = None,
    explorer_data: Mapping[str, Any] | None = None,
) -> str:
    """Return the report's html: the figures named in `drawn` are read as svg and csv from `directory`.

    The page holds all it shows; it works offline and loads nothing. `left_out` gives the reason for each figure that
    was not drawn, `explorer_data` the patterns of the attention explorer (see `explorer_data`).
    """
    import jinja2

    from xlprobe import __version__

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    names = checkpoints(results)
    return environment.get_template("page.html").render(
        title="How checkpoints reason across languages" if len(names) > 1 else f"How {names[0]} reads across languages",
        checkpoints=names,
        pairs=[pair_label(*pair) for pair in switched_pairs(results)],
        summary=summary(results),
        figures=[_figure(name, directory) for name in drawn],
        left_out={FIGURES[name].title if name in FIGURES else name: why for name, why in (left_out or {}).items()},
        manifest=_flat({name: value for name, value in results.manifest.items() if name != "attention_maps"}),
        rows=len(results),
        explorer=explorer_parts(explorer_data) if explorer_data else None,
        css=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "page.js").read_text(encoding="utf-8"),
        max_rows=MAX_ROWS,
        version=__version__,
    )


def kept_explorer(table: Path) -> dict[str, Any] | None:
    """Return the patterns that a report beside a table holds, so that it can be drawn again without a model."""
    path = (table if table.is_dir() else table.parent) / "report.html"
    if not path.exists():
        return None
    found = re.search(r'<script type="application/json" id="explorer-data">(.*?)</script>', path.read_text("utf-8"))
    return json.loads(found.group(1)) if found else None


def _figure(name: str, directory: Path) -> dict[str, Any]:
    spec = FIGURES[name]
    svg = (directory / f"{name}.svg").read_text(encoding="utf-8")
    return {
        "name": name,
        "title": spec.title,
        "caption": spec.caption,
        "svg": inline_svg(svg, name, f"{spec.title}. {spec.caption}"),
        "table": figure_table(directory / f"{name}.csv"),
        "files": [f"{name}.{kind}" for kind in ("pdf", "svg", "png", "csv") if (directory / f"{name}.{kind}").exists()],
    }


def _flat(manifest: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return the manifest as (dotted name, text), in its own order."""
    found: list[tuple[str, str]] = []
    for name, value in manifest.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, part in enumerate(value):
                found += _flat(part, f"{prefix}{name}.{number}.")
        elif isinstance(value, list):
            found.append((prefix + name, ", ".join(map(str, value)) or "none"))
        else:
            found.append(
                (prefix + name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
            )
    return found
