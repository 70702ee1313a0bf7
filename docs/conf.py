"""The documentation site: python -m sphinx -W --keep-going -b html docs docs/_build/html."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import gallery  # noqa: E402

from xlprobe import __version__  # noqa: E402

# Sphinx reads only what lies under docs, and the notebooks do not.
TUTORIALS = HERE / "tutorials"
shutil.rmtree(TUTORIALS, ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", TUTORIALS, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))

# The gallery's pictures are copied from figures/, and drawn where they are not there.
GALLERY = HERE / "gallery"
shutil.rmtree(GALLERY, ignore_errors=True)
gallery.write(GALLERY, HERE / "_build" / "drawn")

project = "xlprobe"
author = "The xlprobe authors"
copyright = author
version = release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
html_theme = "furo"
html_title = f"xlprobe {release}"
html_static_path: list[str] = []
default_role = "code"

# With outputs; "cache" runs a notebook again when its own code changed, "force" always, "off" never.
nb_execution_mode = os.environ.get("XLPROBE_DOCS_RUN", "cache")
nb_execution_in_temp = True
nb_execution_cache_path = str(HERE / "_build" / "notebooks")
nb_execution_timeout = 900
nb_execution_raise_on_error = True
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
# Pages also link to files of the repository, which the site does not hold.
suppress_warnings = ["myst.xref_missing", "mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": True}


def as_rst(text: str) -> str:
    """Turn a line of a docstring, which is plain text with `code`, into what reStructuredText reads the same way."""
    parts = re.split(r"(`[^`]+`)", text)
    for place, part in enumerate(parts):
        if place % 2:
            parts[place] = f"`{part}`"
        else:
            parts[place] = re.sub(r"([\\*|]|_(?=\W|$))", r"\\\1", part)
    return "".join(parts)


def plain_docstring(app: Any, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Read docstrings as the plain text that they are."""
    lines[:] = [as_rst(line) for line in lines]


def setup(app: Any) -> None:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", plain_docstring)
