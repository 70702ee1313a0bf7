"""RuleTaker's English read back into facts and rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xlprobe.errors import DataError
from xlprobe.samples.rulebase.grammars.en import GRAMMAR
from xlprobe.samples.rulebase.logic import Entity, Literal, Rule, Statement, Theory
from xlprobe.samples.rulebase.vocabulary import ATTRIBUTES, ENTITIES, RELATIONS

__all__ = ["parse_statement", "parse_theory"]

_ENTITY = "|".join(entity.name if entity.kind == "person" else f"[Tt]he {entity.name}" for entity in ENTITIES.values())
_ATTRIBUTE = "|".join(ATTRIBUTES)
_VERB = "|".join(RELATIONS)
_CLAUSE = re.compile(
    rf"(?P<who>{_ENTITY}|[Ss]omeone|[Ss]omething|they|it) "
    rf"(?:(?:is|are) (?P<no>not )?(?P<attribute>{_ATTRIBUTE})"
    rf"|(?:(?P<not>does|do) not )?(?P<verb>{_VERB})s? (?P<object>{_ENTITY}))"
)
_MORE = re.compile(rf"(?P<no>not )?(?P<attribute>{_ATTRIBUTE})")
_QUANTIFIED = re.compile(
    rf"(?P<all>all )?(?P<given>(?:{_ATTRIBUTE})(?:, (?:{_ATTRIBUTE}))*) (?P<noun>people|things) are "
    rf"(?P<no>not )?(?P<attribute>{_ATTRIBUTE})"
)


def parse_theory(context: str | Sequence[str]) -> Theory:
    """Return the theory of an English context: a text, or its sentences.

    Raises `DataError` naming the first sentence that is not RuleTaker's English.
    """
    sentences = re.split(r"(?<=\.)\s+", context.strip()) if isinstance(context, str) else context
    return Theory(tuple(parse_statement(sentence) for sentence in sentences))


def parse_statement(sentence: str) -> Statement:
    """Return the fact or rule that an English sentence states.

    Raises `DataError` where the sentence is not of RuleTaker's English, or has words outside its vocabulary.
    """
    text = sentence.strip()
    if not text.endswith("."):
        raise _unreadable(sentence)
    text = text[:-1]
    if text.startswith("If ") and text.count(" then ") == 1:
        conditions, _, then = text[3:].partition(" then ")
        return _rule(conditions, then, sentence)
    quantified = _QUANTIFIED.fullmatch(text[0].lower() + text[1:])
    if quantified is not None:
        given = tuple(Literal(None, word) for word in quantified["given"].split(", "))
        conclusion = Literal(None, quantified["attribute"], None, not quantified["no"])
        return Rule(given, conclusion, ("all_" if quantified["all"] else "") + quantified["noun"])
    fact, variable = _literal(text, sentence)
    if variable:
        raise _unreadable(sentence)
    return fact


def _rule(given: str, conclusion: str, sentence: str) -> Rule:
    conditions: list[Literal] = []
    words: list[str] = []
    for part in given.split(" and "):
        more = _MORE.fullmatch(part)
        if more is not None and conditions and conditions[-1].is_attribute:
            conditions.append(Literal(conditions[-1].subject, more["attribute"], None, not more["no"]))
            continue
        literal, variable = _literal(part, sentence)
        conditions.append(literal)
        words += [variable] if variable else []
    then, variable = _literal(conclusion, sentence)
    words += [variable] if variable else []
    first = words[0] if words else "ground"
    if words and (first not in ("someone", "something") or any(w != _PRONOUN[first] for w in words[1:])):
        raise _unreadable(sentence)
    return Rule(tuple(conditions), then, first)


_PRONOUN = {"someone": "they", "something": "it"}
_WORDS = set(
    re.findall(r"\w+", " ".join((*ATTRIBUTES, *ENTITIES, *RELATIONS, *(f"{verb}s" for verb in RELATIONS))).lower())
)
_WORDS |= {"all", "and", "are", "do", "does", "if", "is", "it", "not", "people", "someone", "something", "the", "then"}
_WORDS |= {"they", "things"}


def _literal(clause: str, sentence: str) -> tuple[Literal, str]:
    """Return the literal of a clause, and the word of its variable, if it has one."""
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise _unreadable(sentence, clause)
    subject = _entity(match["who"])
    word = "" if subject else match["who"].lower()
    if match["attribute"]:
        literal = Literal(subject, match["attribute"], None, not match["no"])
    else:
        literal = Literal(subject, match["verb"], _entity(match["object"]), not match["not"])
    if clause != f"{match['who']} {GRAMMAR.predicate((literal,), word == 'they')}":
        raise _unreadable(sentence, clause)
    return literal, word


def _entity(text: str) -> Entity | None:
    return ENTITIES.get(text[4:] if text.lower().startswith("the ") else text)


def _unreadable(sentence: str, part: str = "") -> DataError:
    words = dict.fromkeys(word for word in re.findall(r"[\w'-]+", sentence) if word.lower() not in _WORDS)
    where = f" (at {part!r})" if part and part not in (sentence, sentence.rstrip(".")) else ""
    lacking = f", which has words that the grammars lack: {', '.join(words)}" if words else ""
    return DataError(
        f"cannot read {sentence!r}{where}{lacking}; expected "
        "a fact or rule in RuleTaker's English, such as 'The dog is not "
        "big.', 'If someone is kind and they need the cat then they are nice.' or 'All red things are cold.'"
    )
