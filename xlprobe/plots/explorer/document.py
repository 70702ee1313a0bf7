"""The explorer's html, style, script and data as one page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["document", "script_of"]

ASSETS = Path(__file__).parent
SCRIPTS = ("cells.js", "store.js", "draw.js", "explorer.js")


def script_of(*names: str) -> str:
    """Return scripts of this directory as one."""
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names)


def document(data: Mapping[str, Any], report: str | None = None) -> str:
    """Return a whole page that holds the explorer alone, with a link to the report beside it where there is one."""
    body, css = ((ASSETS / name).read_text(encoding="utf-8") for name in ("explorer.html", "explorer.css"))
    # "<" never appears as itself in a script element's data, so that no text can end the element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    back = f'<p><a href="{html.escape(report, quote=True)}">back to the report</a></p>' if report else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Attention explorer · xlprobe</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        "<style>:root{color-scheme:light dark;--accent:light-dark(#00558a,#8cc8f0)}a{color:var(--accent)}"
        "html,body{background:light-dark(#fbfaf7,#16171a);color:light-dark(#1d1d1f,#ececee)}"
        "h1{font-size:1.35rem;margin:.3rem 0}"
        "body{margin:0 auto;max-width:90rem;padding:.5rem;font:1rem/1.5 system-ui,'Noto Sans','DejaVu Sans',sans-serif}"
        f"{css}</style></head><body><main><h1>Attention explorer</h1>{back}{body}</main>"
        f'<script type="application/json" id="explorer-data">{text}</script>'
        f"<script>{script_of(*SCRIPTS)}</script></body></html>"
    )
