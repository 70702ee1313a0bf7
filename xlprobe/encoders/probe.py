"""Short made-up inputs, for checks of what a model does with any input."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xlprobe.encoders.heads import head_of
from xlprobe.encoders.pairs import canonical_pair
from xlprobe.languages import language_id

__all__ = ["output_of", "probe_inputs", "probing"]

_PIECES = 4096
"""Of how many pieces a text is made up: each row of a table of embeddings that is mapped from a file costs memory."""


def probe_inputs(model: nn.Module, lengths: Sequence[int]) -> dict[str, Tensor]:
    """Return one sample per length, padded on the right; cross-query models also get two languages in each.

    No token is the padding token, so that every position is one of a real text. Of an encoder-decoder each text has one
    token of its end, by which some classifiers find it, and the decoder is given one token.
    """
    config: Any = model.config
    device = next(model.parameters()).device
    size, pad = min(int(config.vocab_size), _PIECES), int(getattr(config, "pad_token_id", None) or 0)
    ids = torch.randint(0, size - 1, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(0))
    ids += ids >= pad
    places = torch.arange(max(lengths))
    mask = (places < torch.tensor(lengths)[:, None]).long()
    answers = "decoder_input_ids" in inspect.signature(type(model).forward).parameters
    if answers and isinstance(end := config.eos_token_id, int):
        ids[ids == end] = next(number for number in range(3) if number not in (pad, end))
        ids[places == torch.tensor(lengths)[:, None] - 1] = end
    inputs = {"input_ids": torch.where(mask == 1, ids, pad), "attention_mask": mask}
    if answers and head_of(type(model).__name__) != "classification":
        inputs["decoder_input_ids"] = ids[:, :1]
    if str(config.model_type).startswith("cross-query-"):
        first, second = canonical_pair(config.pairs[0] if config.pairs else "en-fr").split("-")
        half = places >= torch.tensor(lengths)[:, None] // 2
        inputs["language_ids"] = torch.where(half, language_id(second), language_id(first)) * mask
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def output_of(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Run a model and return its logits, or the last hidden states of a bare encoder."""
    output: Any = model(**inputs)
    return output.logits if hasattr(output, "logits") else output.last_hidden_state


@contextmanager
def probing(model: nn.Module) -> Iterator[None]:
    """Run a model without gradients, in evaluation mode, and without a trace on the caller's random numbers."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module in training:
            module.training = True
