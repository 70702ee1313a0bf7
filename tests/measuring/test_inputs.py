"""What users hand to `measure`: problems of any source, checkpoints by name, designs that cannot be run."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xlprobe import Design, measure
from xlprobe.errors import DataError
from xlprobe.measuring import inputs
from xlprobe.measuring.design import Interventions, check
from xlprobe.metrics import get_metric, metrics_in
from xlprobe.samples import ParallelSample, write_jsonl

OPTIONS: dict[str, Any] = {"metrics": ["entropy"], "show_progress": False}


def size(checkpoint: Any, samples: Any, **options: Any) -> int:
    return len(measure(checkpoint, samples, **{"pairs": "en-fr", **OPTIONS, **options}))


def test_problems_of_any_source_give_the_same_rows(tiny: Any, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    checkpoint, problems = tiny.checkpoint("bert"), tiny.problems(3, 2, ("en", "fr"))
    expected = size(checkpoint, problems)
    path = tmp_path / "problems.jsonl"
    write_jsonl(problems, path)
    rows = [
        {f"{what}_{code}": " ".join(value) if isinstance(value, tuple) else value for code, value in texts.items()}
        for one in problems
        for what, texts in (("context", one.context), ("question", one.question))
    ]
    table = datasets.Dataset.from_list([rows[n] | rows[n + 1] for n in range(0, len(rows), 2)])
    for samples in (tuple(problems), iter(problems), path, str(path), table):
        assert size(checkpoint, samples) == expected
    assert size(checkpoint, problems, pairs=[("en", "fr")]) == expected
    assert size([checkpoint], problems) == expected


@pytest.mark.parametrize(
    ("samples", "message"),
    [(3, "samples of type int"), ([], "no samples"), (["text"], "got a str among the samples")],
)
def test_what_are_no_problems_is_refused(tiny: Any, samples: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        measure(tiny.checkpoint("bert"), samples, **OPTIONS)


def test_one_checkpoint_is_in_memory_at_a_time(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[Any] = []
    most = []

    def load(spec: str, device: str = "cpu") -> Any:
        most.append(sum(model() is not None for model in alive))
        checkpoint = replace(tiny.checkpoint("bert"), name=spec)
        alive.append(weakref.ref(checkpoint.model))
        return checkpoint

    monkeypatch.setattr(inputs, "load", load)
    results = measure(["one", "two", "three"], tiny.problems(2), pairs="en-fr", **OPTIONS)
    assert results.unique("checkpoint") == ["one", "three", "two"]
    assert most == [0, 0, 0]
    assert list(results.manifest["checkpoints"]) == ["one", "two", "three"]


def lacking(tiny: Any) -> list[ParallelSample]:
    problems = tiny.problems(3)
    last = problems[-1]
    without = {code: last.context[code] for code in ("en", "fr")}
    return [*problems[:-1], replace(last, context=without, question={code: last.question[code] for code in without})]


def test_a_language_that_a_problem_lacks_is_refused_or_counted(tiny: Any) -> None:
    checkpoint, problems = tiny.checkpoint("bert"), lacking(tiny)
    with pytest.raises(DataError, match=r"1 of 6 samples lack zh: t2-q1\. Name pairs without"):
        measure(checkpoint, problems, **OPTIONS)
    results = measure(checkpoint, problems, lacking="skip", **OPTIONS)
    assert len(results.unique("sample")) == 5
    assert results.manifest["left_out"][checkpoint.name]["samples_lacking"] == ["t2-q1"]
    assert len(measure(checkpoint, problems, pairs="en-fr", **OPTIONS).unique("sample")) == 6


def test_the_base_is_english_or_the_first_language(tiny: Any) -> None:
    problems = tiny.problems(2)
    assert check(Design(), [get_metric("entropy")], problems).base == "en"
    assert check(Design(base="zh"), [], problems).pairs[0] == ("zh", "en")
    assert check(Design(), [], tiny.problems(2, 2, ("zh", "fr"))).base == "zh"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Design(too_long="cut"), "too_long='cut'"),
        (lambda: Design(lacking="guess"), "lacking='guess'"),
        (lambda: Design(max_texts=0), "max_texts=0"),
    ],
)
def test_designs_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


def test_sets_of_metrics_lie_within_each_other() -> None:
    default, figures, everything = ({one.name for one in metrics_in(name)} for name in ("default", "figures", "all"))
    assert default < figures < everything
    assert "knock_out_effect" in figures - default
    assert "norm_mass_lift" in everything - figures


def test_answers_on_further_pairs_and_few_problems_for_interventions(tiny: Any) -> None:
    checkpoint = tiny.checkpoint("bert", "ForSequenceClassification")
    problems = tiny.problems(4)
    results = measure(
        checkpoint, problems, pairs="en-fr, en-zh", answers="*-*", metrics=["correct", "knock_out_effect"],
        interventions=Interventions(problems=3, pairs=1), show_progress=False,
    )  # fmt: skip
    answers = results.select(metric="correct").to_frame()
    cells = answers.groupby(["context_language", "question_language"], observed=True).size()
    assert len(cells) == 9
    assert set(cells) == {8}
    cut = results.select(metric="knock_out_effect").to_frame()
    assert cut["sample"].nunique() == cut["group"].nunique() == 3
    assert set(cut["question_language"]) == {"en", "fr"}
    assert results.manifest["effects"][checkpoint.name] == {"problems": 3}
