"""Parallel reasoning problems: generated, read from files, and encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlprobe.lazy import on_first_use
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

# Generating and reading need no torch; only what encodes imports it.
__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "batch": "Batch",
        "encoding": "Encoder batches encode",
        "readers": "read read_dataset read_flat read_jsonl read_leap_of_thought read_parallel_text read_pararule "
        "read_ruletaker read_token_tagged read_xnli write_jsonl",
        "rulebase": "RULETAKER SHORT SMALL generate",
    },
)
