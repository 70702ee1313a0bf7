"""Do the grammars' sentences find each other across languages? (docs/retrieval_of_verbalisations.md)

    python studies/retrieval_of_verbalisations.py [--checkpoint bundled:encoder] [--each 80] [--words 12]

As many sentences of each kind (`KINDS`), drawn at random from the vocabulary, all distinct: the same for every version
of the grammars. A sentence is found if, of all the sentences of the other language, its own translation is the nearest
by the cosine of mean-pooled last-layer vectors: raw, and with each language's mean vector taken off. Words whose facts
are found least often come last: a mistake in a grammar shows there.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable
from random import Random
from statistics import fmean

import torch

from xlprobe import load
from xlprobe.languages import LANGUAGES
from xlprobe.measuring.sentences import sentence_vectors
from xlprobe.metrics.neutrality import retrieval_hits
from xlprobe.samples import Encoder, ParallelSample
from xlprobe.samples.rulebase import Literal, Rule, verbalise
from xlprobe.samples.rulebase.grammars import available
from xlprobe.samples.rulebase.logic import Entity, Statement
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES, RELATIONS

Vectors = dict[str, torch.Tensor]
WHO = list(ENTITIES.values())


def attribute(random: Random, subject: Entity | None) -> Literal:
    return Literal(subject, random.choice(ATTRIBUTES), None, random.random() < 0.6)


def relation(random: Random, subject: Entity | None, other: Entity) -> Literal:
    return Literal(subject, random.choice(RELATIONS), other, random.random() < 0.6)


def about_nobody_else(random: Random) -> Rule:
    """Return a rule whose variable alone is spoken of."""
    one, two, end = (Literal(None, word, None, random.random() < 0.6) for word in random.sample(ATTRIBUTES, 3))
    conditions = sorted((one, two), key=lambda condition: not condition.positive)[: random.randint(1, 2)]
    return Rule(tuple(conditions), end, random.choice(("someone", "something")))


def about_others_too(random: Random) -> Rule:
    """Return a rule whose variable does something to somebody, who may do something in turn."""
    one, other = random.sample(WHO, 2)
    further = (
        attribute(random, None),
        attribute(random, one),
        relation(random, None, other),
        relation(random, one, other),
    )
    conditions = [relation(random, None, one), *random.sample(further, random.randint(0, 1))]
    ends = (attribute(random, None), relation(random, None, other), relation(random, one, other))
    return Rule(tuple(conditions), random.choice(ends), random.choice(("someone", "something")))


def named(random: Random) -> Rule:
    one, other = random.sample(WHO, 2)
    ends = (attribute(random, one), attribute(random, other), relation(random, other, one))
    return Rule((relation(random, one, other),), random.choice(ends), "ground")


def quantified(random: Random, every: bool, positive: bool) -> Rule:
    *given, end = random.sample(ATTRIBUTES, random.randint(2, 3))
    form = ("all_" if every else "") + random.choice(("people", "things"))
    return Rule(tuple(Literal(None, word) for word in given), Literal(None, end, None, positive), form)


KINDS: dict[str, Callable[[Random], Statement]] = {
    "attribute": lambda random: attribute(random, random.choice(WHO)),
    "relation": lambda random: relation(random, *random.sample(WHO, 2)),
    "named": named,
    "someone": about_nobody_else,
    "someone and others": about_others_too,
    "people": lambda random: quantified(random, False, random.random() < 0.6),
    "all": lambda random: quantified(random, True, True),
    "none": lambda random: quantified(random, True, False),
}
"""Facts that give an attribute or a relation; rules about those they name, about someone or something alone, or about
others too; "kind people are (not) big", "all kind people are big", "all kind people are not big"."""


def statements(each: int, seed: int) -> dict[str, list[Statement]]:
    """Return distinct statements, as many of every kind."""
    found = {}
    for kind, draw in KINDS.items():
        random = Random(f"{seed} {kind}")
        kept: dict[Statement, None] = {}
        while len(kept) < each:
            kept[draw(random)] = None
        found[kind] = list(kept)
    return found


def vectors(checkpoint: str, prefix: str, texts: dict[str, list[str]]) -> Vectors:
    samples = [
        ParallelSample(str(n), str(n), "rulebase", {code: (text,) for code, text in zip(texts, row, strict=True)})
        for n, row in enumerate(zip(*texts.values(), strict=True))
    ]
    model = load(checkpoint)
    encoder = Encoder(model.tokenizer, **{**model.encoding, "prefix": prefix})
    last = sentence_vectors(model, samples, encoder=encoder, show_progress=False).vectors
    return {code: torch.from_numpy(layers[-1].copy()) for code, layers in last.items()}


def word_for_word(rule: Rule, code: str) -> str:
    """Return "all kind people are not big" as "all" put together with "are not big" from "kind people are not big"."""
    end = rule.conclusion.negated()
    plain, negated = (verbalise(Rule(rule.conditions, one, rule.form[4:]), code) for one in (end, rule.conclusion))
    said = verbalise(Rule(rule.conditions, end, rule.form), code)
    shared = next(place for place, (one, other) in enumerate(zip(plain, negated, strict=False)) if one != other)
    assert said.endswith(plain[shared:]), (said, plain)
    return said[: len(said) - len(plain) + shared] + negated[shared:]


def found_both_ways(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (retrieval_hits(x, y) + retrieval_hits(y, x)) / 2


def rates(found: Vectors, languages: list[str]) -> None:
    """Print how often sentences are found, and between which languages."""
    centred = {code: part - part.mean(dim=0) for code, part in found.items()}
    print("| language | with en, raw | with en, centred | with all, raw | with all, centred |\n|---|---|---|---|---|")
    for code in languages:
        others = [other for other in languages if other != code]
        raw, off = (
            {other: float(found_both_ways(space[code], space[other]).mean()) for other in others}
            for space in (found, centred)
        )
        with_en = [f"{table['en']:.3f}" if code != "en" else "–" for table in (raw, off)]
        parts = [f"{fmean(table.values()):.3f}" for table in (raw, off)]
        print(f"| {code} | {' | '.join([*with_en, *parts])} |")
    print("\nCentred, each pair:\n\n| | " + " | ".join(languages) + " |\n|" + "---|" * (len(languages) + 1))
    for code in languages:
        cells = [
            "" if code == other else f"{float(found_both_ways(centred[code], centred[other]).mean()):.2f}"
            for other in languages
        ]
        print(f"| {code} | {' | '.join(cells)} |")


def by_kind(found: Vectors, languages: list[str], each: int) -> None:
    """Print how often the sentences of a kind are found, over all other languages, centred."""
    centred = {code: part - part.mean(dim=0) for code, part in found.items()}
    print(f"| | {' | '.join(KINDS)} |\n|{'---|' * (len(KINDS) + 1)}")
    for code in languages:
        hits = [found_both_ways(centred[code], centred[other]) for other in languages if other != code]
        kinds = torch.stack(hits).mean(dim=0).reshape(len(KINDS), each).mean(dim=1)
        print(f"| {code} | {' | '.join(f'{rate:.2f}' for rate in kinds.tolist())} |")


def none_in_other_words(found: Vectors, other: Vectors, languages: list[str], each: int) -> None:
    """Print how often "none" and English find each other, as the language says it and word for word, centred."""
    english = found["en"] - found["en"].mean(dim=0)
    print("| | natural | word for word |\n|---|---|---|")
    for code in languages:
        if code != "en":
            spaces = found[code], torch.cat([found[code][:-each], other[code]])
            hits = [found_both_ways(english, space - space.mean(dim=0))[-each:] for space in spaces]
            print(f"| {code} | {' | '.join(f'{float(one.mean()):.2f}' for one in hits)} |")


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
    parser.add_argument("--each", type=int, default=80, help="how many sentences of each kind")
    parser.add_argument("--words", type=int, default=12, help="how many hard words to list for each language")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    languages = [*LANGUAGES, *(code for code in available() if code not in LANGUAGES)]
    said = [one for kind in statements(options.each, options.seed).values() for one in kind]
    found = vectors(
        options.checkpoint, options.prefix, {code: [verbalise(one, code) for one in said] for code in languages}
    )
    none = [one for one in said[-options.each :] if isinstance(one, Rule)]
    other = vectors(
        options.checkpoint, options.prefix, {code: [word_for_word(one, code) for one in none] for code in languages}
    )
    rates(found, languages)
    print("\nBy kind of sentence, centred:\n")
    by_kind(found, languages, options.each)
    print('\n"None" and English:\n')
    none_in_other_words(found, other, languages, options.each)
    print("\nWhat English sentence is found instead of the right one, and in how many words it differs:\n")
    near_misses(found, languages, said)
    print(f"\nBy chance: {1 / len(said):.3f}. Facts with words that are found least (centred, with en):\n")
    hard_words(found, languages, said, options.words)


if __name__ == "__main__":
    main()
