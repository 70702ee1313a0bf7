"""What a model answers: a classifier's logits, or those of the words that it may go on, or answer, with."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xlprobe.encoders.heads import head_of
from xlprobe.encoders.modules import is_encoder_decoder, looks_across, network_of, unwrapped
from xlprobe.errors import CaptureError, CheckpointError

if TYPE_CHECKING:
    from xlprobe.samples.batch import Batch

__all__ = ["answer_logits", "decoder_start", "run_bare"]


def answer_logits(model: nn.Module, batch: Batch, cross_query: bool = False) -> Float[Tensor, "batch label"]:
    """Run a batch and return the logits of its labels.

    A causal language model answers at the last token of each prompt, by the tokens in `batch.answer_ids`; where it can
    leave out the logits of all other positions, it does. An encoder-decoder does at the last of `batch.decoder_ids`.
    Raises `CaptureError` for prompts without answers.
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
    if batch.decoder_ids is not None:
        logits = model(**inputs, use_cache=False).logits
        at_last = logits[torch.arange(len(logits), device=logits.device), batch.answer_steps.to(logits.device)]
        return at_last.gather(1, batch.answer_ids.to(logits.device))
    last = batch.lengths - 1
    places, of_sample = last.unique(return_inverse=True)
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        logits = model(**inputs, use_cache=False, logits_to_keep=places).logits
    else:
        logits = model(**inputs, use_cache=False).logits[:, places]
    at_last = logits[torch.arange(len(logits), device=logits.device), of_sample.to(logits.device)]
    return at_last.gather(1, batch.answer_ids.to(logits.device))


def run_bare(model: nn.Module, batch: Batch, cross_query: bool = False) -> None:
    """Run a batch for what happens inside: a language model's logits, which can be huge, are left out.

    Of an encoder-decoder whose encoder is looked into only that runs.
    """
    inputs: dict[str, Any] = batch.model_inputs(cross_query)
    if is_encoder_decoder(model) and not looks_across(model):
        inputs.pop("decoder_input_ids", None)
        network_of(model)(**inputs)
        return
    inner: Any = model.base_model if _speaks(model) else model
    inner(**inputs, **({"use_cache": False} if _speaks(model) else {}))


def decoder_start(model: nn.Module) -> tuple[int, ...]:
    """Return the tokens with which an encoder-decoder's answer begins, as its configurations say.

    That is `decoder_start_token_id`, and `forced_bos_token_id` where there is one (such as a language's token). Raises
    `CheckpointError` without the first.
    """
    sources = [getattr(unwrapped(model), name, None) for name in ("generation_config", "config")]

    def said(name: str) -> int | None:
        values = (getattr(source, name, None) for source in sources)
        return next((value for value in values if value is not None), None)

    start, forced = said("decoder_start_token_id"), said("forced_bos_token_id")
    if start is None:
        raise CheckpointError(
            f"got a {type(model).__name__} whose configuration has no decoder_start_token_id; expected the token that "
            "its decoder begins with. Set it in config.json or generation_config.json (T5: pad_token_id)"
        )
    return (start,) if forced in (None, start) else (start, forced)


def _speaks(model: nn.Module) -> bool:
    """Whether a model is a language model that answers: its last layer gives a logit to each word of the vocabulary."""
    return head_of(type(model).__name__) in ("causal", "seq2seq")
