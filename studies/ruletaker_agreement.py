"""How far the parser and the prover agree with RuleTaker's own files (docs/ruletaker_agreement.md).

    python studies/ruletaker_agreement.py DIRECTORY

DIRECTORY holds depth-0, depth-1, ..., each with dev.jsonl or dev.jsonl.gz.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from xlprobe.samples.readers import Rejections, read_ruletaker
from xlprobe.samples.readers.lines import json_lines
from xlprobe.samples.readers.theories import TheoryText, read_theory
from xlprobe.samples.rulebase import Literal, Theory, parse_statement
from xlprobe.samples.rulebase.prover import Model, solve


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "none"


def row_of(path: Path, found: Rejections) -> str:
    for _ in read_ruletaker(path, languages=("en", "fr"), rejections=found):
        pass
    tally = found.tally
    cells = (
        f"{tally['theories']:,}",
        percent(tally["theories parsed"], tally["theories"]),
        percent(tally["English again"], tally["theories"]),
        f"{tally['questions']:,}",
        percent(tally["labels agree"], tally["questions"]),
        f"{tally['depths given']:,}",
        percent(tally["depths agree"], tally["depths given"]),
        percent(*unproved_depths(path)),
    )
    return f"| {path.parent.name} | {' | '.join(cells)} |"


def solved(path: Path) -> Iterator[tuple[TheoryText, Theory, Model]]:
    for where, row in json_lines(path):
        one = read_theory(row, where)
        theory = Theory(tuple(map(parse_statement, one.context)))
        yield one, theory, solve(theory)


def unproved_depths(path: Path) -> tuple[int, int]:
    """Return how many of the questions without a proof have the file's depth, and how many there are."""
    pairs = [
        (asked.depth, model.answer(question(asked.text)).depth)
        for one, _, model in solved(path)
        for asked in one.questions
        if "QLen" not in asked.meta and asked.depth is not None
    ]
    return sum(theirs == ours for theirs, ours in pairs), len(pairs)


def stable_models(theory: Theory, model: Model) -> list[set[Literal]]:
    """Return the sets of literals that prove themselves, where what is not among them fails, without contradiction."""
    open_ = sorted(model.undecided, key=repr)
    found = []
    for bits in product((False, True), repeat=len(open_)):
        believed = set(model.steps) | {literal for literal, bit in zip(open_, bits, strict=True) if bit}
        if closure(theory, model, believed) == believed and not any(one.negated() in believed for one in believed):
            found.append(believed)
    return found


def closure(theory: Theory, model: Model, believed: set[Literal]) -> set[Literal]:
    known = set(theory.facts)
    while True:
        new = {
            one.conclusion
            for one in model.instances
            if known.issuperset(one.needed) and believed.isdisjoint(one.barred)
        }
        if new <= known:
            return known
        known |= new


def question(text: str) -> Literal:
    literal = parse_statement(text)
    assert isinstance(literal, Literal), text
    return literal


def agrees(believed: set[Literal], one: TheoryText) -> bool:
    for asked in one.questions:
        literal = question(asked.text)
        holds = literal in believed if literal.positive else literal.negated() not in believed
        if holds != bool(asked.label):
            return False
    return True


def main(directory: Path) -> None:
    files = sorted(directory.glob("depth-*/dev.jsonl*"))
    if not files:
        sys.exit(f"{directory} has no depth-*/dev.jsonl or dev.jsonl.gz; give RuleTaker's directory")
    print("| file | theories | parsed | same English | questions | same label | with proof | same depth | others |")
    print("|---|---|---|---|---|---|---|---|---|")
    rejected = []
    for path in files:
        found = Rejections()
        print(row_of(path, found), flush=True)
        rejected += [(item, path) for item in found.items]
    print("\nTheories whose negations go in a loop:")
    for path in files:
        for one, theory, model in solved(path):
            if model.undecided:
                models = stable_models(theory, model)
                fits = sum(agrees(believed, one) for believed in models)
                place = one.where.rpartition(", ")[2]
                print(
                    f"{path.parent.name}, {place}: {len(models)} stable models, the file's labels are those of {fits}"
                )
    print(f"\n{len(rejected)} remarks:")
    for item, path in rejected:
        print(f"{path.parent.name}, {item.where.partition(', ')[2]}: {item.kind}: {item.reason}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
