"""What a reader could not use: listed and counted, never dropped in silence."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Rejected", "Rejections"]


@dataclass(frozen=True)
class Rejected:
    """One thing that a reader left out: where it is, what kind of reason, and the reason itself."""

    where: str
    kind: str
    reason: str


@dataclass
class Rejections:
    """The list of what a reader left out; pass one to a reader to look at it afterwards.

    Without a list of the caller's own, a reader says on standard error how much it left out and why.
    """

    items: list[Rejected] = field(default_factory=list)
    read: int = 0

    def add(self, where: str, kind: str, reason: str) -> None:
        """Note one thing that was left out."""
        self.items.append(Rejected(where, kind, reason))

    def counts(self) -> dict[str, int]:
        """Return how many were left out for each kind of reason."""
        return dict(Counter(item.kind for item in self.items))

    def say(self) -> None:
        """Say on standard error what was left out, if anything."""
        if self.items:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts().items()))
            first = self.items[0]
            print(
                f"left out {len(self.items)} beside {self.read} read: {kinds}; the first: {first.where}: {first.reason}",
                file=sys.stderr,
            )
