"""How long it takes to generate problems as large as RuleTaker's."""

from __future__ import annotations

import time

from benchmarks.timing import Row, Section
from xlprobe.languages import LANGUAGES
from xlprobe.samples import RULETAKER, generate

TWENTY_THOUSAND = 20_000
SIZES = {"entities": (2, 4), "facts": (4, 12), "rules": (3, 8), "depth": (0, 1, 2, 3)}


def run(quick: bool = False) -> Section:
    """Generate fewer problems than the rows tell of, and scale the processor's time up to them."""
    theories = 100 if quick else 400
    ask = {"languages": tuple(LANGUAGES), "seed": 1}
    calls = {
        f"3 to 8 rules, 4 to 12 facts, {count} questions a theory": ask | SIZES | {"questions": count}
        for count in (8, 12, 16)
    }
    calls["the same with 8 questions, of the test split only"] = ask | SIZES | {"questions": 8, "split": "test"}
    rows = [_row(name, theories, options, 60.0) for name, options in calls.items()]
    rows.append(_row("RULETAKER, 10,000 theories of 2 questions", theories, ask | dict(RULETAKER), None))
    text = (
        "Processor time for 20,000 questions of depths 0 to 3 in eight languages, both labels and signs, on one core."
    )
    return Section("Generating problems", text, rows)


def _row(name: str, theories: int, options: dict[str, object], target: float | None) -> Row:
    start = time.process_time()
    made = len(generate(theories, **options))  # type: ignore[arg-type]
    seconds = time.process_time() - start
    return Row(name, seconds * TWENTY_THOUSAND / made, "s", target=target, note=f"measured on {made:,} questions")
