"""The fine-tuned checkpoints that come with xlprobe: packed weights over the bundled encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xlprobe.errors import CheckpointError
from xlprobe.models.packing import read_packed, unpack

if TYPE_CHECKING:
    from xlprobe.models.checkpoint import Checkpoint

__all__ = ["SHIPPED", "load_packed", "shipped_file"]

SHIPPED = ("baseline", "cross-query", "baseline-en")
"""Names of the shipped checkpoints; `bundled:baseline` and so on load them. Their cards are beside the files."""


def shipped_file(name: str) -> Path:
    """Return where a shipped checkpoint's weights are."""
    return Path(__file__).parent / "weights" / f"{name}.safetensors"


def load_packed(path: Path, name: str, spec: str) -> Checkpoint:
    """Load packed weights over the base that they name; raises `CheckpointError` where the base is another one.

    The model is a sequence classifier, in evaluation mode, with the tokenizer of its base.
    """
    from xlprobe.models.checkpoint import Checkpoint, load

    packed, about = read_packed(path)
    base = load(about["base"], head="none")
    if base.hash != about["base_hash"]:
        raise CheckpointError(
            f"{path.name} was made for {about['base']} with the hash {about['base_hash'][:12]}; "
            f"the one that is installed has {base.hash[:12]}. Install the versions of constraints.txt"
        )
    model = _classifier(base, about)
    prefix = model.base_model_prefix + "."
    weights = unpack(packed, {prefix + key: value for key, value in base.model.state_dict().items()})
    own: dict[str, Any] = dict(model.state_dict())
    if unknown := sorted(set(weights) - set(own)):
        raise CheckpointError(f"{path} holds tensors that {type(model).__name__} has no place for: {unknown[:4]}")
    own.update(weights)
    model.load_state_dict(own)
    model.name_or_path = spec
    provenance = {**base.provenance, **about}
    return Checkpoint(name, spec, model.eval(), base.tokenizer, provenance, about.get("encoding", {}))


def _classifier(base: Checkpoint, about: dict[str, Any]) -> Any:
    """Return an untrained classifier with the base's encoder; every other tensor is replaced by the packed ones."""
    from transformers import BertForSequenceClassification

    from xlprobe.models.convert import to_cross_query

    config = type(base.model.config).from_dict({**base.model.config.to_dict(), **about["config"]})
    with torch.random.fork_rng(), torch.device("meta"):
        model = BertForSequenceClassification(config)
    model.to_empty(device="cpu")
    model.bert.load_state_dict({**model.bert.state_dict(), **base.model.state_dict()})
    positions = config.max_position_embeddings
    model.bert.embeddings.position_ids = torch.arange(positions).expand((1, -1))
    model.bert.embeddings.token_type_ids = torch.zeros((1, positions), dtype=torch.long)
    if about["mechanism"] == "cross-query":
        return to_cross_query(model, num_labels=config.num_labels, **about["cross_query"])
    return model
