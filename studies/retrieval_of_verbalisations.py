"""Do the grammars' sentences find each other across languages? (docs/retrieval_of_verbalisations.md)

    python studies/retrieval_of_verbalisations.py [--checkpoint bundled:encoder] [--sentences 500] [--words 12]

Half of the sentences are facts, half are rules, all distinct. A sentence is found if, of all the sentences of the other
language, its own translation is the nearest by the cosine of mean-pooled last-layer vectors: raw, and with each
language's mean vector taken off. Words whose facts are found least often come last: a mistake in a grammar shows there.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from statistics import fmean

import torch

from xlprobe import load
from xlprobe.languages import LANGUAGES
from xlprobe.measuring.sentences import sentence_vectors
from xlprobe.metrics.neutrality import retrieval_hits
from xlprobe.samples import Encoder, ParallelSample, generate
from xlprobe.samples.rulebase import Literal, parse_statement, verbalise
from xlprobe.samples.rulebase.grammars import available
from xlprobe.samples.rulebase.logic import Statement

Vectors = dict[str, torch.Tensor]


def statements(count: int, seed: int) -> list[Statement]:
    """Return distinct facts and rules of generated theories, as many of the one as of the other."""
    found: dict[bool, dict[Statement, None]] = {True: {}, False: {}}
    for sample in generate(count, depth=(0, 1, 2), rules=(2, 4), languages=("en",), seed=seed):
        for text in sample.context["en"]:
            statement = parse_statement(text)
            found[isinstance(statement, Literal)][statement] = None
    half = count // 2
    return [*list(found[True])[:half], *list(found[False])[: count - half]]


def vectors(checkpoint: str, prefix: str, said: list[Statement], languages: list[str]) -> Vectors:
    samples = [
        ParallelSample(str(n), str(n), "rulebase", {code: (verbalise(one, code),) for code in languages})
        for n, one in enumerate(said)
    ]
    model = load(checkpoint)
    encoder = Encoder(model.tokenizer, **{**model.encoding, "prefix": prefix})
    last = sentence_vectors(model, samples, encoder=encoder, show_progress=False).vectors
    return {code: torch.from_numpy(layers[-1].copy()) for code, layers in last.items()}


def found_both_ways(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (retrieval_hits(x, y) + retrieval_hits(y, x)) / 2


def rates(found: Vectors, languages: list[str], facts: int) -> None:
    centred = {code: part - part.mean(dim=0) for code, part in found.items()}
    print("| language | with en, raw | with en, centred | with all, raw | with all, centred | facts | rules |")
    print("|---|---|---|---|---|---|---|")
    for code in languages:
        others = [other for other in languages if other != code]
        raw, off = (
            {other: found_both_ways(space[code], space[other]) for other in others} for space in (found, centred)
        )
        with_en = [float(table["en"].mean()) if code != "en" else float("nan") for table in (raw, off)]
        parts = [float(torch.stack(list(table.values())).mean()) for table in (raw, off)]
        every = torch.stack(list(off.values())).mean(dim=0)
        kinds = [float(every[:facts].mean()), float(every[facts:].mean())]
        cells = ["–" if value != value else f"{value:.3f}" for value in (*with_en, *parts, *kinds)]
        print(f"| {code} | {' | '.join(cells)} |")
    print("\nCentred, each pair:\n\n| | " + " | ".join(languages) + " |\n|" + "---|" * (len(languages) + 1))
    for code in languages:
        cells = [
            "" if code == other else f"{float(found_both_ways(centred[code], centred[other]).mean()):.2f}"
            for other in languages
        ]
        print(f"| {code} | {' | '.join(cells)} |")


def near_misses(found: Vectors, languages: list[str], said: list[Statement]) -> None:
    """Print, by language, how many words the English sentence found instead of the right one differs in."""
    words = [Counter(verbalise(one, "en").lower().rstrip(".").split()) for one in said]
    for code in languages:
        if code == "en":
            continue
        x, y = (torch.nn.functional.normalize(part - part.mean(dim=0), dim=1) for part in (found[code], found["en"]))
        nearest = (x @ y.T).argmax(dim=1).tolist()
        apart = [
            max((words[n] - words[k]).total(), (words[k] - words[n]).total()) for n, k in enumerate(nearest) if n != k
        ]
        shares = [
            sum(low <= one <= high for one in apart) / max(1, len(apart)) for low, high in ((0, 1), (2, 2), (3, 99))
        ]
        print(f"{code}: {len(apart)} missed; by one word {shares[0]:.0%}, two {shares[1]:.0%}, more {shares[2]:.0%}")


def hard_words(found: Vectors, languages: list[str], said: list[Statement], count: int) -> None:
    """Print, by language, the words of facts whose sentences and English find each other least often."""
    centred = {code: part - part.mean(dim=0) for code, part in found.items()}
    for code in languages:
        if code == "en":
            continue
        hits = found_both_ways(centred[code], centred["en"])
        table: dict[str, list[float]] = defaultdict(list)
        for hit, one in zip(hits.tolist(), said, strict=True):
            if isinstance(one, Literal) and one.subject is not None:
                for word in (one.subject.name, one.predicate, one.object.name if one.object else None):
                    if word is not None:
                        table[word].append(hit)
        worst = sorted((fmean(values), word) for word, values in table.items() if len(values) > 3)[:count]
        print(f"{code}: " + ", ".join(f"{word} {rate:.2f}" for rate, word in worst))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--checkpoint", default="bundled:encoder")
    parser.add_argument("--prefix", default="query: ", help="what the encoder wants before each text")
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--words", type=int, default=12, help="how many hard words to list for each language")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    languages = [*LANGUAGES, *(code for code in available() if code not in LANGUAGES)]
    said = statements(options.sentences, options.seed)
    found = vectors(options.checkpoint, options.prefix, said, languages)
    rates(found, languages, sum(isinstance(one, Literal) for one in said))
    print("\nWhat English sentence is found instead of the right one, and in how many words it differs:\n")
    near_misses(found, languages, said)
    print(f"\nBy chance: {1 / len(said):.3f}. Facts with words that are found least (centred, with en):\n")
    hard_words(found, languages, said, options.words)


if __name__ == "__main__":
    main()
