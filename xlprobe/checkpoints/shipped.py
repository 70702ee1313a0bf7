"""Packed weights as checkpoints: those that come with xlprobe, and those that a training run kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xlprobe.checkpoints.packing import read_packed, unpack
from xlprobe.checkpoints.tensor_files import read_description
from xlprobe.errors import CheckpointError

if TYPE_CHECKING:
    from xlprobe.checkpoints.checkpoint import Checkpoint

__all__ = ["SHIPPED", "find_packed", "load_packed", "make_buffers", "shipped_file"]

SHIPPED = ("baseline", "cross-query", "baseline-en")
"""Names of the shipped checkpoints; `bundled:baseline` and so on load them. Their cards are beside the files."""

_FILE = "weights.safetensors"
_NEEDED = ("base", "base_hash", "mechanism", "config")


def shipped_file(name: str) -> Path:
    """Return where a shipped checkpoint's weights are."""
    return Path(__file__).parent / "weights" / f"{name}.safetensors"


def find_packed(spec: str | Path) -> Path | None:
    """Return the file of packed weights that a path names, or that the run in a directory kept; else None."""
    path = Path(spec)
    if path.is_dir():
        path = path / _FILE
    return path if path.suffix == ".safetensors" and "xlprobe" in read_description(path) else None


def load_packed(path: Path, name: str, spec: str, base: Checkpoint | None = None) -> Checkpoint:
    """Load packed weights over the base that they name; raises `CheckpointError` where the base is another one.

    The model is a sequence classifier, in evaluation mode, with the tokenizer of its base. Every tensor that the base
    does not give must be in the file, and no other.
    """
    from xlprobe.checkpoints.checkpoint import Checkpoint, load

    packed, about = read_packed(path)
    if absent := [key for key in _NEEDED if key not in about]:
        raise CheckpointError(f"{path} does not say its {', '.join(absent)}; expected weights kept by xlprobe finetune")
    base = base or load(about["base"], head="none")
    if base.hash != about["base_hash"]:
        raise CheckpointError(
            f"{path.name} was made for the base {about['base']} with the hash {about['base_hash'][:12]}; got a base "
            f"with {base.hash[:12]}. Load it on that base, or install the versions of constraints.txt"
        )
    model = _classifier(base, about)
    prefix = model.base_model_prefix + "."
    given = {prefix + key: value for key, value in base.model.state_dict().items()}
    weights = unpack(packed, given)
    own = model.state_dict().keys()
    unknown, missing = sorted(weights.keys() - own), sorted(own - weights.keys() - given.keys())
    if unknown or missing:
        raise CheckpointError(
            f"{path} has {len(unknown)} tensors that {type(model).__name__} has no place for {unknown[:4]} and lacks "
            f"{len(missing)} {missing[:4]}; the file is of another model"
        )
    model.load_state_dict({key: tensor for key, tensor in given.items() if key in own} | weights)
    make_buffers(model)
    model.name_or_path = spec
    provenance = {**base.provenance, **about}
    return Checkpoint(name, spec, model.eval(), base.tokenizer, provenance, about.get("encoding", {}))


def make_buffers(model: Any) -> None:
    """Make the buffers that are never saved anew, after a model was made on the meta device."""
    embeddings, positions = model.base_model.embeddings, model.config.max_position_embeddings
    embeddings.position_ids = torch.arange(positions).expand((1, -1))
    embeddings.token_type_ids = torch.zeros((1, positions), dtype=torch.long)


def _classifier(base: Checkpoint, about: dict[str, Any]) -> Any:
    """Return a classifier whose memory holds nothing yet: starting values for what is loaded anyway take seconds."""
    from transformers import AutoModelForSequenceClassification

    from xlprobe.encoders.convert import untrained

    config = type(base.model.config).from_dict({**base.model.config.to_dict(), **about["config"]})
    with torch.random.fork_rng(), torch.device("meta"):
        if about["mechanism"] == "cross-query":
            model: Any = untrained(
                config, "ForSequenceClassification", {"num_labels": config.num_labels, **about["cross_query"]}
            )
        else:
            model = AutoModelForSequenceClassification.from_config(config)
    return model.to_empty(device="cpu")
