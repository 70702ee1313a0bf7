"""What a reader could not use: listed and counted, never dropped in silence."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Rejected", "Rejections"]


@dataclass(frozen=True)
class Rejected:
    """One thing that a reader found wrong: where it is, of what kind, why, and whether it was kept all the same."""

    where: str
    kind: str
    reason: str
    kept: bool = False


@dataclass
class Rejections:
    """The list of what a reader left out or doubts; pass one to a reader to look at it afterwards.

    Without a list of the caller's own, a reader says on standard error how much it left out and why. `read` counts the
    samples that the reader gave; `tally` counts further things, which the reader's own text names.
    """

    items: list[Rejected] = field(default_factory=list)
    read: int = 0
    tally: Counter[str] = field(default_factory=Counter)

    def add(self, where: str, kind: str, reason: str, *, kept: bool = False) -> None:
        """Note one thing that was left out, or kept in spite of the reason."""
        self.items.append(Rejected(where, kind, reason, kept))

    def counts(self) -> dict[str, int]:
        """Return how many there are for each kind of reason, in the order of their first appearance."""
        return dict(Counter(item.kind for item in self.items))

    def summary(self) -> str:
        """Return one line on what was left out and what is doubtful, with an example of each; "" where all is well."""
        sentences = []
        for kept, verb in ((False, "left out"), (True, "kept, though doubtful,")):
            items = [item for item in self.items if item.kept == kept]
            if items:
                kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(item.kind for item in items).items())
                sentences.append(f"{verb} {len(items)}: {kinds}; the first: {items[0].where}: {items[0].reason}")
        return ". ".join(sentences)

    def say(self) -> None:
        """Say the summary on standard error, if there is anything to say."""
        if self.items:
            print(f"read {self.read} samples; {self.summary()}", file=sys.stderr)
