"""Parallel reasoning problems: generated, read from files, and encoded."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from xlprobe.samples.types import ParallelSample, Sample

if TYPE_CHECKING:
    from xlprobe.samples.batch import Batch
    from xlprobe.samples.encoding import Encoder, batches, encode
    from xlprobe.samples.readers import (
        read,
        read_dataset,
        read_flat,
        read_jsonl,
        read_leap_of_thought,
        read_parallel_text,
        read_pararule,
        read_ruletaker,
        read_token_tagged,
        read_xnli,
        write_jsonl,
    )
    from xlprobe.samples.rulebase import RULETAKER, SHORT, SMALL, generate

_LAZY = {
    "RULETAKER": "xlprobe.samples.rulebase",
    "SHORT": "xlprobe.samples.rulebase",
    "SMALL": "xlprobe.samples.rulebase",
    "Batch": "xlprobe.samples.batch",
    "Encoder": "xlprobe.samples.encoding",
    "batches": "xlprobe.samples.encoding",
    "encode": "xlprobe.samples.encoding",
    "generate": "xlprobe.samples.rulebase",
    "read": "xlprobe.samples.readers",
    "read_dataset": "xlprobe.samples.readers",
    "read_flat": "xlprobe.samples.readers",
    "read_jsonl": "xlprobe.samples.readers",
    "read_leap_of_thought": "xlprobe.samples.readers",
    "read_parallel_text": "xlprobe.samples.readers",
    "read_pararule": "xlprobe.samples.readers",
    "read_ruletaker": "xlprobe.samples.readers",
    "read_token_tagged": "xlprobe.samples.readers",
    "read_xnli": "xlprobe.samples.readers",
    "write_jsonl": "xlprobe.samples.readers",
}

__all__ = [
    "RULETAKER",
    "SHORT",
    "SMALL",
    "Batch",
    "Encoder",
    "ParallelSample",
    "Sample",
    "batches",
    "encode",
    "generate",
    "read",
    "read_dataset",
    "read_flat",
    "read_jsonl",
    "read_leap_of_thought",
    "read_parallel_text",
    "read_pararule",
    "read_ruletaker",
    "read_token_tagged",
    "read_xnli",
    "write_jsonl",
]


def __getattr__(name: str) -> Any:
    # Generating and reading need no torch; only what encodes imports it.
    if name not in _LAZY:
        raise AttributeError(f"module 'xlprobe.samples' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
