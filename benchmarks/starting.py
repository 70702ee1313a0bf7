"""How long it takes until something happens: imports, help, and the bundled encoder."""

from __future__ import annotations

import tempfile
from statistics import median

from benchmarks.child import seconds_of
from benchmarks.timing import Row, Section

LOAD = ["-c", "from xlprobe import load; load('bundled:encoder')"]
IMPORT = ["-c", "import torch, transformers; from transformers import BertModel, PreTrainedTokenizerFast"]


def run(quick: bool = False) -> Section:
    """Measure fresh processes by turns; times of an idle interpreter are taken off."""
    repeats = 3 if quick else 5
    times: dict[str, list[float]] = {name: [] for name in ("idle", "import", "help", "libraries", "first", "again")}
    with tempfile.TemporaryDirectory() as warm:
        seconds_of(LOAD, XLPROBE_CACHE=warm)
        for _ in range(repeats):
            times["idle"].append(seconds_of(["-c", "pass"]))
            times["import"].append(seconds_of(["-c", "import xlprobe"]))
            times["help"].append(seconds_of(["-m", "xlprobe.report", "--help"]))
            times["libraries"].append(seconds_of(IMPORT))
            with tempfile.TemporaryDirectory() as cold:
                times["first"].append(seconds_of(LOAD, XLPROBE_CACHE=cold))
            times["again"].append(seconds_of(LOAD, XLPROBE_CACHE=warm))
    idle = median(times["idle"])
    rows = [
        Row("import xlprobe", median(times["import"]) - idle, "s", target=0.3),
        Row("python -m xlprobe.report --help", median(times["help"]), "s", target=1.5),
        Row("torch and transformers alone", median(times["libraries"]), "s"),
        Row("bundled encoder, first time (decoded and cached)", median(times["first"]), "s", target=6.0),
        Row("bundled encoder, again (from the cache)", median(times["again"]), "s", target=6.0),
    ]
    own = [
        ("first time", [a - b for a, b in zip(times["first"], times["libraries"], strict=True)]),
        ("again", [a - b for a, b in zip(times["again"], times["libraries"], strict=True)]),
    ]
    rows += [Row(f"bundled encoder, {name}, without the libraries' imports", median(t), "s") for name, t in own]
    return Section("Start-up", "Whole processes from start to end, medians; what else runs here counts too.", rows)
