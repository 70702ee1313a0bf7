"""The explorer's html, style, script and data, for a page to hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ExplorerParts", "document", "explorer_parts"]

ASSETS = Path(__file__).parent


@dataclass(frozen=True)
class ExplorerParts:
    """What a page puts in: the style in its head, the html where it belongs, data and script at the end."""

    html: str
    css: str
    script: str
    json: str


def explorer_parts(data: Mapping[str, Any]) -> ExplorerParts:
    """Return the explorer's parts around the data that `explorer_data` made."""
    read = {kind: (ASSETS / f"explorer.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")}
    # "<" never appears as itself in a script element's data, so that no text can end the element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return ExplorerParts(read["html"], read["css"], read["js"], text)


def document(data: Mapping[str, Any]) -> str:
    """Return a whole page that holds the explorer alone."""
    parts = explorer_parts(data)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Attention explorer</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        "<style>:root{color-scheme:light dark}body{margin:.5rem;font:1rem/1.5 system-ui,sans-serif}"
        f"{parts.css}</style>"
        "</head>"
        f'<body><main>{parts.html}</main><script type="application/json" id="explorer-data">{parts.json}</script>'
        f"<script>{parts.script}</script></body></html>"
    )
