"""What a model answers: a classifier's logits, or those of the words that it may go on with."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xlprobe.encoders.heads import head_of
from xlprobe.errors import CaptureError

if TYPE_CHECKING:
    from xlprobe.samples.batch import Batch

__all__ = ["answer_logits", "run_bare"]


def answer_logits(model: nn.Module, batch: Batch, cross_query: bool = False) -> Float[Tensor, "batch label"]:
    """Run a batch and return the logits of its labels.

    A causal language model answers at the last token of each prompt, by the tokens in `batch.answer_ids`; where it can
    leave out the logits of all other positions, it does. Raises `CaptureError` for prompts without answers.
    """
    inputs: dict[str, Any] = batch.model_inputs(cross_query)
    if not _speaks(model):
        output = model(**inputs)
        if not hasattr(output, "logits"):
            raise CaptureError(f"got a {type(model).__name__}, which gives no logits; expected a model with a head")
        return output.logits  # type: ignore[no-any-return]
    if batch.answer_ids is None:
        raise CaptureError(
            "got prompts that no answer is to follow; expected a batch made by the encoder of a causal language model, "
            "of samples with a question"
        )
    last = batch.lengths - 1
    places, of_sample = last.unique(return_inverse=True)
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        logits = model(**inputs, use_cache=False, logits_to_keep=places).logits
    else:
        logits = model(**inputs, use_cache=False).logits[:, places]
    at_last = logits[torch.arange(len(logits), device=logits.device), of_sample.to(logits.device)]
    return at_last.gather(1, batch.answer_ids.to(logits.device))


def run_bare(model: nn.Module, batch: Batch, cross_query: bool = False) -> None:
    """Run a batch for what happens inside: a language model's logits, which can be huge, are left out."""
    inner: Any = model.base_model if _speaks(model) else model
    inner(**batch.model_inputs(cross_query), **({"use_cache": False} if _speaks(model) else {}))


def _speaks(model: nn.Module) -> bool:
    """Whether a model is a causal language model: its last layer gives a logit to each word of the vocabulary."""
    return head_of(type(model).__name__) == "causal"
