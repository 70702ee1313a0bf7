"""From an encoder to a classifier that can be fine-tuned, with or without cross-lingual queries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xlprobe.encoders.convert import to_cross_query
from xlprobe.errors import CheckpointError, TrainingError
from xlprobe.training.method import Method

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from xlprobe.checkpoints.checkpoint import Checkpoint

__all__ = ["FreshHead", "make_classifier", "set_cross_query"]


@dataclass(frozen=True)
class FreshHead:
    """A fresh classifier: how many classes, the seed of its weights, and the model's dropout (None: leave it)."""

    num_labels: int = 2
    seed: int = 0
    dropout: float | None = None


def make_classifier(
    base: Checkpoint,
    method: Method | None = None,
    head: FreshHead | None = None,
    query: Mapping[str, Tensor] | None = None,
) -> PreTrainedModel:
    """Return a sequence classifier with a checkpoint's encoder and a fresh, seeded head on the first token (a causal
    model's: on the last).

    A baseline and a cross-query model of one seed start with the same head. `query` are pre-trained Q_cross tensors
    (names may have any prefix); without them Q_cross is a copy of Q, or the checkpoint's own where it has one.
    XLM-R's classifier starts with the dense layer of the pre-trained LM head, where the checkpoint has one. The
    checkpoint itself is not changed.
    """
    from transformers import AutoModelForSequenceClassification

    from xlprobe.samples.prompts import padding_id

    method, head = method or Method(), head or FreshHead()
    _check_start(base, method, query)
    config = type(base.model.config).from_dict(base.model.config.to_dict())
    # The names of another head's classes would say the wrong thing of a fresh one.
    config.id2label = {place: f"LABEL_{place}" for place in range(head.num_labels)}
    config.label2id = {name: place for place, name in config.id2label.items()}
    if getattr(config, "pad_token_id", None) is None and base.is_causal:
        # It answers at the last token that is no padding: that of the prompts.
        config.pad_token_id = padding_id(base.tokenizer)
    if head.dropout is not None:
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = head.dropout
    with torch.random.fork_rng():
        torch.manual_seed(head.seed)
        model = AutoModelForSequenceClassification.from_config(config)
    _fill(model, base)
    masks: dict[str, Any] = {"q_p_mask": method.p_mask, "cross_p_mask": method.cross_p_mask}
    if base.is_cross_query:
        model.config.update(masks)
    elif method.is_cross_query:
        with torch.random.fork_rng():
            model = to_cross_query(model, num_labels=head.num_labels, pairs=list(method.pairs) or None, **masks)
        if query is not None:
            set_cross_query(model, query)
    return model.to(base.device)


def _check_start(base: Checkpoint, method: Method, query: Mapping[str, Tensor] | None) -> None:
    if "int8" in base.provenance:
        raise TrainingError(
            f"got {base.name} with weights in int8, which are not trained; load it without dtype='int8'"
        )
    if base.is_cross_query and (not method.is_cross_query or query is not None or method.pairs):
        raise TrainingError(
            f"{base.name} already has a Q_cross; expected mechanism='cross-query' without query= and pairs=, or a "
            "plain encoder to start from"
        )
    if not method.is_cross_query and query is not None:
        raise TrainingError("got a Q_cross for a baseline, which has no place for it; use mechanism='cross-query'")


def _fill(model: PreTrainedModel, base: Checkpoint) -> None:
    """Copy the encoder, the pooler if there is one, and XLM-R's dense layer from the LM head."""
    encoder = base.model.base_model.state_dict()
    own = model.base_model.state_dict()
    own.update({name: tensor for name, tensor in encoder.items() if name in own})
    lost = [name for name in encoder if name not in own and not name.startswith("pooler.")]
    fresh = [name for name in own if name not in encoder and not name.startswith("pooler.")]
    if lost or fresh:
        raise CheckpointError(f"{base.name}: the encoder does not fit its classifier: {[*lost, *fresh][:4]}")
    model.base_model.load_state_dict(own)
    dense = getattr(getattr(base.model, "lm_head", None), "dense", None)
    target = getattr(getattr(model, "classifier", None), "dense", None)
    if dense is not None and target is not None:
        target.load_state_dict(dense.state_dict())


def set_cross_query(model: PreTrainedModel, tensors: Mapping[str, Tensor]) -> None:
    """Copy Q_cross tensors into a model, matched from the layer's number on.

    Raises `CheckpointError` where a tensor is missing, left over, or of another width.
    """
    own: dict[str, Any] = {
        _from_layer(name): tensor for name, tensor in model.state_dict().items() if "cross_lingual_quer" in name
    }
    given = {_from_layer(name): tensor for name, tensor in tensors.items()}
    if set(own) != set(given):
        wrong = sorted(set(own) ^ set(given))
        raise CheckpointError(
            f"the Q_cross does not fit: {len(wrong)} tensors are missing or left over, such as {wrong[0]}; "
            f"got {len(given)}, expected {len(own)}, of the same layers and language pairs"
        )
    for name, tensor in given.items():
        if tensor.shape != own[name].shape:
            raise CheckpointError(
                f"the Q_cross is of another width: {name} is {tuple(tensor.shape)}, expected {tuple(own[name].shape)}. "
                "Pre-train one for this encoder"
            )
        own[name].copy_(tensor)


def _from_layer(name: str) -> str:
    match = re.search(r"(?:^|\.)\d+\.", name)
    return name if match is None else name[match.start() :].lstrip(".")
