"""Modules that belong to no package, loaded by their path: studies, scripts of the documentation, the tests' makers."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(__file__).parent))),
    "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1",
}  # fmt: skip
"""For a script in a process of its own, which finds this module by its name."""


def load(path: Path | str) -> Any:
    """Load a module; the path begins at the repository's root."""
    spec = importlib.util.spec_from_file_location(f"by_path_{Path(path).stem}", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def makers() -> Any:
    """Return the makers of tiny checkpoints and problems, for scripts."""
    return load("tests/conftest.py")
