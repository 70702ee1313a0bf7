"""Grammars: one module per language, found by its presence.

A module `xlprobe/samples/rulebase/grammars/<code>.py` provides

- `GRAMMAR`, an object of a class derived from `base.Grammar`, with
  - `code`, the language's code, the module's name;
  - `conditional`, how a rule is put together: "If {} then {}" (conditions, conclusion);
  - `also`, what joins conditions: " and "; `along`, what joins those that share a subject, where that differs;
  - `stop`, what ends a sentence: ".", and `capital(text)` where a sentence begins otherwise than with `str.upper`;
  - `someone` and `something`, how a rule's variable is first named and then taken up, and `drops(turn)`, where a
    further condition is understood without its subject;
  - `named(entity)`: an entity as a subject;
  - `clause(who, literals, place)`: a clause such as "the dog does not need Anne" or "someone is big and not red".
    The literals are one literal, or several attributes of the variable; `place` is "main", "condition" or
    "conclusion", where word order or mood depend on it;
  - `quantified(attributes, conclusion, people, every)`: "all kind, big people are not red";

The words of a language stand in the same file: every entity, attribute and relation of `vocabulary` needs its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache, lru_cache

from xlprobe.errors import DataError
from xlprobe.samples.rulebase.grammars.base import Grammar
from xlprobe.samples.rulebase.logic import Statement

__all__ = ["available", "grammar", "verbalise"]


@cache
def available() -> tuple[str, ...]:
    """Return the codes of the languages that have a grammar."""
    return tuple(sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if name != "base"))


@cache
def grammar(code: str) -> Grammar:
    """Return the grammar of a language, or raise `DataError` naming those that exist."""
    if code not in available():
        raise DataError(
            f"there is no grammar for {code!r}; there is one for {' '.join(available())}. Use one of these, or add "
            "a language (docs/how-to/add_a_language.md)"
        )
    return importlib.import_module(f"{__name__}.{code}").GRAMMAR


@lru_cache(maxsize=1 << 18)
def verbalise(statement: Statement, language: str) -> str:
    """Return a fact, question or rule as a sentence of a language."""
    return grammar(language).verbalise(statement)
