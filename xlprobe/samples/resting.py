"""Tokenizers that give their memory back while nobody uses them."""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["rest"]

LARGE = 100_000
"""How many pieces make a vocabulary large: of fewer there is little to give back."""


def rest(tokenizer: Any) -> None:
    """Give a tokenizer's tables back until somebody uses it, which loads them as they were.

    One of 250,000 pieces holds 290 MB and is loaded in a second. Does nothing for a small vocabulary, and for a
    tokenizer that is not one of the library tokenizers.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "_tokenizer", None)
    if type(backend) is Tokenizer and backend.get_vocab_size() >= LARGE:
        tokenizer._tokenizer = _Resting(tokenizer, backend)


class _Resting:
    """Stands where a `tokenizers.Tokenizer` was: its first use puts the tokenizer back there, and goes to that."""

    def __init__(self, owner: Any, backend: Any) -> None:
        # JSON holds all but this switch of the calls to come.
        state = weakref.ref(owner), backend.to_str(), backend.encode_special_tokens
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "_awake", None)

    def _wake(self) -> Any:
        if self._awake is None:
            from tokenizers import Tokenizer

            owner, text, special = self._state
            awake = Tokenizer.from_str(text)
            awake.encode_special_tokens = special
            object.__setattr__(self, "_awake", awake)
            if (one := owner()) is not None and one._tokenizer is self:
                one._tokenizer = awake
        return self._awake

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wake(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._wake(), name, value)

    def __reduce_ex__(self, protocol: Any) -> Any:  # copies and pickles are of the tokenizer
        return self._wake().__reduce_ex__(protocol)
