from __future__ import annotations

from random import Random

import pytest

from xlprobe.samples.rulebase import Literal, Rule, Theory, parse_statement, parse_theory, prove
from xlprobe.samples.rulebase.prover import solve
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES

CHAIN = (
    "Anne is kind. If someone is kind then they are big. All big people are red. "
    "If someone is red and not cold then they see the cat. If someone sees the cat then the cat is nice."
)


@pytest.mark.parametrize(
    ("theory", "question", "label", "depth"),
    [
        (CHAIN, "Anne is kind.", True, 0),
        (CHAIN, "Anne is not kind.", False, 0),
        (CHAIN, "Anne is big.", True, 1),
        (CHAIN, "Anne is red.", True, 2),
        (CHAIN, "Anne sees the cat.", True, 3),
        (CHAIN, "The cat is nice.", True, 4),
        (CHAIN, "The cat is not nice.", False, 4),
        # The closed world: what nothing gives does not hold.
        (CHAIN, "Anne is cold.", False, 0),
        (CHAIN, "Anne is not cold.", True, 0),
        # A failed proof is as deep as the rules that could have given it.
        (CHAIN, "The cat is big.", False, 1),
        (CHAIN, "The cat is red.", False, 2),
        # Negation as failure, over what another rule gives.
        (
            "Anne is kind. If Anne is kind then Anne is big. If Anne is not big then Anne is red.",
            "Anne is red.",
            False,
            2,
        ),
        ("Bob is big. If someone is not kind then they are red.", "Bob is red.", True, 1),
        # Of two proofs, the shorter counts.
        (CHAIN + " If Anne is kind then the cat is nice.", "The cat is nice.", True, 1),
        # A told negation.
        ("Anne is not kind. If Anne is kind then Anne is big.", "Anne is not kind.", True, 0),
        ("Anne is big. If someone is big then they are not kind.", "Anne is not kind.", True, 1),
        # Rules speak of all, relations have a direction.
        ("The cat sees the dog.", "The dog sees the cat.", False, 0),
        ("The cat sees the dog. If something sees the dog then it sees the cat.", "The cat sees the cat.", True, 1),
        # A rule in a circle proves nothing.
        ("If Anne is big then Anne is red. If Anne is red then Anne is big.", "Anne is big.", False, 2),
    ],
)
def test_hand_made_theories(theory, question, label, depth):
    answer = prove(parse_theory(theory), parse_statement(question))
    assert (answer.label, answer.depth) == (label, depth)


def test_the_proof_has_its_premises_first():
    answer = prove(parse_theory(CHAIN), parse_statement("The cat is nice."))
    assert [step.statement for step in answer.proof] == [0, 1, 2, 3, 4]
    assert [step.depth for step in answer.proof] == [0, 1, 2, 3, 4]
    assert answer.proof[3].premises == (parse_statement("Anne is red."), parse_statement("Anne is not cold."))
    assert not answer.by_failure
    failed = prove(parse_theory(CHAIN), parse_statement("Anne is cold."))
    assert failed.by_failure
    assert failed.proof == ()


def test_rules_speak_of_who_is_asked_for_too():
    theory = parse_theory("If someone is not kind then they are big.")
    assert prove(theory, parse_statement("Bob is big.")).label


def test_loops_of_negation_leave_undecided():
    loop = parse_theory("If Anne is not big then Anne is red. If Anne is not red then Anne is big. Bob is big.")
    model = solve(loop)
    assert model.undecided == {parse_statement("Anne is red."), parse_statement("Anne is big.")}
    assert not model.holds(parse_statement("Anne is red."))
    assert model.holds(parse_statement("Bob is big."))
    # Told from elsewhere, one of the two is settled, and with it the other.
    settled = solve(Theory((*loop.statements, parse_statement("Anne is big."))))
    assert settled.undecided == frozenset()
    assert not settled.holds(parse_statement("Anne is red."))


WHO = tuple(ENTITIES.values())[:3]
ATOMS = [Literal(one, word) for one in WHO for word in ATTRIBUTES[:4]]
ATOMS += [Literal(one, "see", other) for one in WHO for other in WHO if one != other]


def random_theory(random: Random) -> Theory:
    def literal(subject):
        other = random.choice([None, None, *(one for one in WHO if one != subject)])
        return Literal(subject, "see" if other else random.choice(ATTRIBUTES[:4]), other, random.random() < 0.75)

    facts = random.sample(ATOMS, random.randint(1, 4))
    rules = []
    for _ in range(random.randint(4, 14)):
        conditions = tuple(literal(random.choice([None, *WHO])) for _ in range(random.choice((1, 1, 1, 2, 2, 3))))
        open_ = any(condition.subject is None for condition in conditions)
        conclusion = literal(random.choice([None, None, *WHO] if open_ else WHO))
        # Only what is said to hold is compared, so that no theory contradicts itself.
        conclusion = conclusion if conclusion.positive else conclusion.negated()
        rules.append(Rule(conditions, conclusion, "something" if open_ else "ground"))
    statements = [*facts, *rules]
    random.shuffle(statements)
    return Theory(tuple(statements))


def naive_depths(theory: Theory) -> dict[Literal, int] | None:
    """A second prover: stratum by stratum, trying all rules until nothing changes; None where there are no strata."""
    everyone = theory.entities
    ground = [
        ([c.bound(one) for c in rule.conditions], rule.conclusion.bound(one))
        for rule in theory.rules
        for one in everyone
    ]
    level: dict[Literal, int] = {}
    for _ in range(len(ground) + 2):
        before = dict(level)
        for conditions, head in ground:
            for c in conditions:
                below = level.get(c, 0) if c.positive else level.get(c.negated(), 0) + 1
                level[head] = max(level.get(head, 0), below)
        if level == before:
            break
    else:
        return None
    depths = dict.fromkeys(theory.facts, 0)
    for stratum in range(max(level.values(), default=0) + 1):
        rules = [(conditions, head) for conditions, head in ground if level.get(head, 0) == stratum]
        done = set(depths)
        for _ in range(len(ATOMS) * 2 + 2):
            for conditions, head in rules:
                if all((c in depths) if c.positive else (c.negated() not in done) for c in conditions):
                    depth = 1 + max((depths[c] for c in conditions if c.positive), default=0)
                    depths[head] = min(depth, depths.get(head, depth))
    return depths


def test_a_second_prover_finds_the_same():
    random = Random(1)
    compared = deep = 0
    for _ in range(400):
        theory = random_theory(random)
        expected = naive_depths(theory)
        if expected is None:
            continue
        model = solve(theory)
        assert {literal: step.depth for literal, step in model.steps.items()} == expected
        assert not model.undecided
        compared += 1
        deep += max(expected.values()) > 1
    assert compared > 150
    assert deep > 20


def test_each_step_of_a_proof_follows_from_its_statement():
    random = Random(2)
    steps = 0
    for _ in range(200):
        theory = random_theory(random)
        model = solve(theory)
        for atom in model.steps:
            proof = model.answer(atom).proof
            assert proof[-1].literal == atom
            for place, step in enumerate(proof):
                source = theory.statements[step.statement]
                if isinstance(source, Literal):
                    assert source == step.literal
                    continue
                steps += 1
                bindings = [one for one in theory.entities if source.conclusion.bound(one) == step.literal]
                assert any(tuple(c.bound(one) for c in source.conditions) == step.premises for one in bindings)
                earlier = {before.literal for before in proof[:place]}
                assert all(p in earlier if p.positive else model.holds(p) for p in step.premises)
    assert steps > 200
