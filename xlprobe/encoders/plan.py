"""What all layers of one forward pass of a cross-query model share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from xlprobe.encoders.attention import bias_of
from xlprobe.encoders.masks import code_switched, content_seeds, draw_seed, language_masks
from xlprobe.encoders.pairs import canonical_pair
from xlprobe.errors import CaptureError, DataError
from xlprobe.languages import language_code

if TYPE_CHECKING:
    from xlprobe.encoders.configuration import CrossQueryOptions

__all__ = ["AttentionPlan", "check_first_tokens", "make_plan"]


@dataclass
class AttentionPlan:
    """Languages, padding and masking of one forward pass; the masks themselves are made once, when first asked for.

    `mixed` (batch,) marks the code-switched samples, `any_mixed` says whether there are any. `two_languages` is True
    if no sample has more than two languages. `pair_rows` gives, for models with a Q_cross per pair, the rows of the
    batch that each pair's Q_cross serves. `any_pairs`: whether the layer itself lets any token attend to any other.
    """

    language_ids: Int[Tensor, "batch position"]
    valid: Bool[Tensor, "batch position"]
    q_p_mask: float
    cross_p_mask: float
    mixed: Bool[Tensor, " batch"]
    any_mixed: bool
    two_languages: bool
    seed: Int[Tensor, " one"] | None = None
    sample_seeds: Int[Tensor, " batch"] | None = None
    pair_rows: dict[str, Int[Tensor, " rows"]] = field(default_factory=dict)
    any_pairs: bool = True
    _made: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def disjoint(self) -> bool:
        """Whether every pair of tokens other than the first has exactly one open term."""
        return self.q_p_mask >= 1 and self.cross_p_mask >= 1

    @property
    def masks(self) -> tuple[Bool[Tensor, "batch query key"], Bool[Tensor, "batch query key"]]:
        """The masks of Q and Q_cross, as `language_masks` makes them."""
        if "masks" not in self._made:
            self._made["masks"] = language_masks(
                self.language_ids,
                self.valid,
                self.q_p_mask,
                self.cross_p_mask,
                seed=self.seed,
                sample_seeds=self.sample_seeds,
            )
        return self._made["masks"]

    def biases(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the masks as numbers to add to scores, 0 or -inf: (batch, 1, query, key) each."""
        if dtype not in self._made:
            self._made[dtype] = tuple(bias_of(mask, dtype)[:, None] for mask in self.masks)
        return self._made[dtype]

    @property
    def closed_rows(self) -> tuple[Bool[Tensor, "batch 1 query"] | None, Bool[Tensor, "batch 1 query"] | None]:
        """The rows in which each mask opens nothing; None where there are no such rows."""
        if "closed" not in self._made:
            closed = [~mask.any(dim=-1)[:, None] for mask in self.masks]
            self._made["closed"] = tuple(rows if bool(rows.any()) else None for rows in closed)
        return self._made["closed"]

    @property
    def has_closed_rows(self) -> bool:
        """Whether some row is closed in both masks."""
        mono, cross = self.closed_rows
        return mono is not None and cross is not None and bool((mono & cross).any())

    @property
    def rows_closed_in_both(self) -> Bool[Tensor, "batch 1 query"]:
        """The rows in which nothing is open: of padding, where a window closes what is no padding."""
        mono, cross = self.masks
        return ~(mono | cross).any(dim=-1)[:, None]

    @property
    def openable_masks(self) -> tuple[Bool[Tensor, "batch query key"], Bool[Tensor, "batch query key"]]:
        """The masks for an explicit softmax, which is NaN over nothing: rows closed in both are open in the first."""
        mono, cross = self.masks
        return (mono | self.rows_closed_in_both[:, 0, :, None] if self.has_closed_rows else mono), cross

    def within(self, mask: Tensor | None, causal: bool) -> AttentionPlan:
        """Return the plan of a layer with a mask of its own (batch, 1, query, key); made once for each mask.

        `mask` is True where a layer lets tokens attend (causal, a window), or numbers that are added to scores; without
        one, `causal` says whether later tokens are closed.
        """
        if mask is None and not causal:
            return self
        known = self._made.setdefault("within", [])
        for seen, plan in known:
            if seen is mask:
                return plan  # type: ignore[no-any-return]
        if mask is not None and mask.dim() != 4:
            raise CaptureError(
                f"got an attention mask of shape {tuple(mask.shape)}; expected (batch, 1, query, key). Load the model "
                "with attn_implementation='sdpa' or 'eager'"
            )
        length = self.valid.shape[1]
        if mask is None:
            opened = torch.ones(1, length, length, dtype=torch.bool, device=self.valid.device).tril()
        else:
            opened = (mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2)[:, 0]
        made = {"masks": tuple(one & opened for one in self.masks)}
        known.append((mask, replace(self, any_pairs=False, _made=made)))
        return known[-1][1]  # type: ignore[no-any-return]


def make_plan(
    config: CrossQueryOptions,
    language_ids: Int[Tensor, "batch position"] | None,
    attention_mask: Int[Tensor, "batch position"] | None,
    input_ids: Int[Tensor, "batch position"] | None,
    training: bool,
    generator: torch.Generator | None = None,
) -> AttentionPlan:
    """Work out, once per forward pass, what the layers need to know.

    In training the masks are drawn with `config.q_p_mask` and `config.cross_p_mask`, else with the `eval_` ones.
    Draws depend on the generator and on each sample's own tokens. Raises `DataError` on missing or misshapen
    `language_ids`, on text that switches inside a segment while `config.language_by` is "segment", and on a pair of
    languages that has no Q_cross.
    """
    if language_ids is None:
        raise DataError(
            "got no language_ids; a cross-query model needs the language of every token, (batch, position). Pass "
            "batch.model_inputs(cross_query=True), or the same id everywhere for text of one language"
        )
    if attention_mask is None:
        attention_mask = torch.ones_like(language_ids)
    if attention_mask.shape != language_ids.shape:
        raise DataError(
            f"got language_ids of shape {tuple(language_ids.shape)} and attention_mask of shape "
            f"{tuple(attention_mask.shape)}; expected both (batch, position)"
        )
    valid = attention_mask.bool()
    # Padding asks as the first token does, so that every form of the attention gives its rows the same output.
    language_ids = torch.where(valid, language_ids, language_ids[:, :1])
    mixed = code_switched(language_ids, valid)
    compiling = torch.compiler.is_compiling()
    any_mixed = True if compiling else bool(mixed.any())
    q_p, cross_p = (
        (config.q_p_mask, config.cross_p_mask) if training else (config.eval_q_p_mask, config.eval_cross_p_mask)
    )
    plan = AttentionPlan(language_ids, valid, q_p, cross_p, mixed, any_mixed, config.language_by == "segment")
    if not any_mixed:
        return plan
    if not plan.disjoint:
        plan.seed = draw_seed(generator)
        plan.sample_seeds = None if input_ids is None else content_seeds(input_ids, attention_mask)
    if not compiling:
        if config.language_by == "segment":
            _check_segments(language_ids, valid)
        else:
            plan.two_languages = not bool(_more_than_two(language_ids, valid).any())
    if config.pairs:
        plan.pair_rows = _rows_by_pair(config, language_ids, valid, mixed)
    return plan


def check_first_tokens(attention_mask: Int[Tensor, "batch position"] | None) -> None:
    """Raise `DataError` where a sample begins with padding: the first token is the bridge between the languages."""
    if attention_mask is None or torch.compiler.is_compiling() or bool(attention_mask[:, 0].all()):
        return
    raise DataError(
        "got padding in the place of a first token; expected [CLS] there, which bridges the languages, and padding on "
        "the right. Set tokenizer.padding_side = 'right'"
    )


def _check_segments(language_ids: Tensor, valid: Tensor) -> None:
    changes = ((language_ids[:, 1:] != language_ids[:, :-1]) & valid[:, 1:]).sum(dim=1)
    if bool((changes > 1).any()):
        row = int(changes.argmax())
        raise DataError(
            f"sample {row} of the batch changes its language {int(changes[row])} times; expected at most once, between "
            "context and question. Set language_by='token' in the model's configuration for text that switches inside"
        )


def _bounds(language_ids: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    top = torch.iinfo(language_ids.dtype).max
    return language_ids.masked_fill(~valid, top).amin(dim=1), language_ids.masked_fill(~valid, -1).amax(dim=1)


def _more_than_two(language_ids: Tensor, valid: Tensor) -> Tensor:
    low, high = _bounds(language_ids, valid)
    return (valid & (language_ids != low[:, None]) & (language_ids != high[:, None])).any(dim=1)


def _rows_by_pair(config: CrossQueryOptions, language_ids: Tensor, valid: Tensor, mixed: Tensor) -> dict[str, Tensor]:
    """Assign each code-switched sample to the Q_cross of its pair of languages, or to the named fallback."""
    names = [canonical_pair(pair) for pair in config.pairs or ()]
    low, high = _bounds(language_ids, valid)
    several = _more_than_two(language_ids, valid).tolist()
    rows: dict[str, list[int]] = {}
    for row, (first, second, switched) in enumerate(zip(low.tolist(), high.tolist(), mixed.tolist(), strict=True)):
        if not switched:
            continue
        name = "-".join(sorted((language_code(first), language_code(second))))
        if several[row] or name not in names:
            if config.fallback_pair is None:
                got = "more than two languages" if several[row] else f"the pair {name}"
                raise DataError(
                    f"sample {row} of the batch has {got}; this model has a Q_cross for {', '.join(names)}. Train one "
                    "for it, or name one of them as fallback_pair in the model's configuration"
                )
            name = canonical_pair(config.fallback_pair)
        rows.setdefault(name, []).append(row)
    return {name: torch.tensor(numbers, device=language_ids.device) for name, numbers in rows.items()}
