"""What all cross-query models share: how Q_cross starts, and one plan per forward pass."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import initialization as init

from xlprobe.encoders.attention_hooked import HOOKED, asked_for
from xlprobe.encoders.cross_attention import CrossQuerySelfAttention
from xlprobe.encoders.crossed import CrossQueryAttention
from xlprobe.encoders.plan import check_first_tokens, make_plan

__all__ = ["CopiesQuery", "PlansAttention", "cross_query_modules"]

logger = logging.getLogger(__name__)

_KINDS = (CrossQuerySelfAttention, CrossQueryAttention)


def cross_query_modules(model: nn.Module) -> list[CrossQuerySelfAttention | CrossQueryAttention]:
    """Return the attention modules of a model that have a Q_cross."""
    return [module for module in model.modules() if isinstance(module, _KINDS)]


class CopiesQuery:
    """Weight initialisation and loading that start Q_cross as a copy of Q where a checkpoint has none."""

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]
        if isinstance(module, _KINDS):
            # Runs after the children's; weights that were loaded are marked and left alone by init.copy_.
            for linear in module.cross_queries().values():
                for name, tensor in module.query_tensors().items():
                    init.copy_(getattr(linear, name), tensor)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As transformers'; says when Q_cross was not in the checkpoint and started as a copy of Q."""
        wants_info = kwargs.pop("output_loading_info", False)
        model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)  # type: ignore[misc]
        copied = [key for key in info["missing_keys"] if "cross_lingual_quer" in key]
        if copied:
            logger.warning(
                "%s: the checkpoint has no cross-lingual query for %d tensors; they start as a copy of Q",
                cls.__name__,
                len(copied),
            )
        return (model, info) if wants_info else model


class PlansAttention(CopiesQuery):
    """An encoder that works out once per forward pass which tokens each query may look at."""

    if TYPE_CHECKING:
        config: Any
        training: bool

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        language_ids: Tensor | None = None,
        mask_generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> Any:
        """As the plain encoder's, with `language_ids` (batch, position), required.

        `mask_generator` is what random masks are drawn from in training (default: torch's generator on the CPU).
        """
        check_first_tokens(attention_mask)
        plan = make_plan(self.config, language_ids, attention_mask, input_ids, self.training, mask_generator)
        given = {
            "input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids,
            "position_ids": position_ids, "inputs_embeds": inputs_embeds,
        }  # fmt: skip
        inputs: dict[str, Any] = {name: tensor for name, tensor in given.items() if tensor is not None}
        inputs |= {"cross_query_plan": plan, **kwargs}
        implementation = self.config._attn_implementation
        if not asked_for(self, kwargs) or implementation in ("eager", HOOKED):
            return super().forward(**inputs)  # type: ignore[misc]
        # A fused kernel shows no pattern, and the layers without a Q_cross would be missing among those with one.
        self.config._attn_implementation = "eager"
        try:
            return super().forward(**inputs)  # type: ignore[misc]
        finally:
            self.config._attn_implementation = implementation
