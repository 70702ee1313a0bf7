"""Parallel reasoning problems: a small logic, its prover, a grammar per language, a generator and a parser."""

from __future__ import annotations

from xlprobe.samples.rulebase.generator import RULETAKER, SHORT, SMALL, generate
from xlprobe.samples.rulebase.grammars import verbalise
from xlprobe.samples.rulebase.logic import Entity, Literal, Rule, Theory
from xlprobe.samples.rulebase.parser import parse_statement, parse_theory
from xlprobe.samples.rulebase.prover import prove

__all__ = [
    "RULETAKER",
    "SHORT",
    "SMALL",
    "Entity",
    "Literal",
    "Rule",
    "Theory",
    "generate",
    "parse_statement",
    "parse_theory",
    "prove",
    "verbalise",
]
