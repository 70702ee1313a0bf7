"""The sizes of an encoder, by name or from a configuration; no weights are read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xlprobe.errors import CheckpointError

__all__ = ["SHAPES", "EncoderShape", "read_shape"]


@dataclass(frozen=True)
class Counted:
    """Weights by what they are for, counted on a model without memory, of an architecture that is not BERT's."""

    parameters: int
    embeddings: int
    matrices: int
    biases: int
    query_width: int


@dataclass(frozen=True)
class EncoderShape:
    """Sizes of an encoder; `num_pairs` 0 stands for one shared Q_cross, `cross_layers` for layers with one.

    Parameters follow from the sizes for encoders built as BERT is; of others they are `counted`.
    """

    name: str
    layers: int
    width: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    model_type: str = "bert"
    num_pairs: int = 0
    cross_layers: int | None = None
    counted: Counted | None = None

    @property
    def crossed_layers(self) -> int:
        """How many layers have a Q_cross."""
        return self.layers if self.cross_layers is None else self.cross_layers

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embeddings and their LayerNorm."""
        if self.counted is not None:
            return self.counted.embeddings
        return (self.vocabulary + self.positions + self.token_types) * self.width + 2 * self.width

    @property
    def layer_parameters(self) -> int:
        """Parameters of one layer without Q_cross."""
        h, f = self.width, self.feed_forward
        return 4 * (h * h + h) + (h * f + f) + (f * h + h) + 4 * h

    @property
    def parameters(self) -> int:
        """Parameters of the encoder without pooler, head and Q_cross."""
        if self.counted is not None:
            return self.counted.parameters
        return self.embedding_parameters + self.layers * self.layer_parameters

    @property
    def matrices(self) -> int:
        """Weights of all layers that every token is multiplied by."""
        if self.counted is not None:
            return self.counted.matrices
        return self.layers * (4 * self.width * self.width + 2 * self.width * self.feed_forward)

    @property
    def query_width(self) -> int:
        """The width of the queries of all heads of a layer."""
        return self.width if self.counted is None else self.counted.query_width

    @property
    def query_parameters(self) -> int:
        """Parameters of one Q_cross in all its layers: what a shared one adds, and each pair's."""
        return self.crossed_layers * (self.width * self.query_width + self.query_width)

    @property
    def biases(self) -> int:
        """What BitFit trains in the encoder: every bias, LayerNorm's too, that of one Q_cross not counted."""
        if self.counted is not None:
            return self.counted.biases
        return self.layers * (4 * self.width + self.feed_forward + self.width + 2 * self.width) + self.width

    def as_dict(self) -> dict[str, Any]:
        """Return the sizes as plain values."""
        return asdict(self)


SHAPES: dict[str, EncoderShape] = {
    shape.name: shape
    for shape in (
        EncoderShape("e5-small", 12, 384, 12, 1536, 250037, 512, 2),
        EncoderShape("mbert", 12, 768, 12, 3072, 119547, 512, 2),
        EncoderShape("xlm-r-base", 12, 768, 12, 3072, 250002, 514, 1, "xlm-roberta"),
        EncoderShape("xlm-r-large", 24, 1024, 16, 4096, 250002, 514, 1, "xlm-roberta"),
        EncoderShape("xlm-r-xl", 36, 2560, 32, 10240, 250880, 514, 1, "xlm-roberta-xl"),
        EncoderShape("xlm-r-xxl", 48, 4096, 32, 16384, 250880, 514, 1, "xlm-roberta-xl"),
    )
}
"""Encoders by name: the bundled one, mBERT (Devlin et al. 2019), XLM-R (Conneau et al. 2020; Goyal et al. 2021)."""

_LIKE_BERT = ("bert", "xlm-roberta", "roberta", "camembert", "xlm-roberta-xl")
"""The architectures whose parameters follow from their sizes; all others are counted."""

_FIELDS = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
    "token_types": "type_vocab_size",
}


def read_shape(spec: str) -> EncoderShape:
    """Return the sizes of an encoder: a name of `SHAPES`, "bundled:...", a config.json or its directory, or a Hub id.

    Of a model of the Hub only the configuration is read. Raises `CheckpointError` where a size is missing.
    """
    if spec in SHAPES:
        return SHAPES[spec]
    if spec.startswith("bundled:"):
        return SHAPES["e5-small"]
    path = Path(spec)
    file = path / "config.json" if path.is_dir() else path
    if file.is_file():
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file}: cannot be read as a configuration ({error}); expected JSON") from error
        if not isinstance(config, dict):
            raise CheckpointError(f"{file}: holds a {type(config).__name__}; expected a configuration's fields")
        return _shape_of(spec, config)
    return _shape_of(spec, _from_hub(spec))


def _from_hub(spec: str) -> dict[str, Any]:
    expected = f"Expected one of {', '.join(SHAPES)}, a config.json or its directory, or a model of the Hub"
    if spec.startswith((".", "/", "~")) or spec.count("/") > 1 or spec.endswith(".json"):
        raise CheckpointError(f"there is no configuration {spec!r}. {expected}")
    from transformers import AutoConfig

    try:
        return dict(AutoConfig.from_pretrained(spec).to_dict())
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"cannot read {spec!r}: {str(error).strip().splitlines()[0]}. {expected}") from error


def _shape_of(name: str, config: dict[str, Any]) -> EncoderShape:
    kind = str(config.get("model_type", "bert")).removeprefix("cross-query-")
    if kind not in _LIKE_BERT:
        return _counted_shape(name, config)
    values: dict[str, Any] = {}
    for ours, theirs in _FIELDS.items():
        size = config.get(theirs)
        if not isinstance(size, int) or size < 1:
            raise CheckpointError(f"{name}: got {theirs}={size!r} in the configuration; expected a number from 1 up")
        values[ours] = size
    if values["width"] % values["heads"]:
        raise CheckpointError(f"{name}: the width {values['width']} is no multiple of the {values['heads']} heads")
    layers = config.get("cross_layers")
    return EncoderShape(
        name,
        **values,
        model_type=kind,
        num_pairs=len(config.get("pairs") or ()),
        cross_layers=None if layers is None else len(layers),
    )


def _counted_shape(name: str, fields: dict[str, Any]) -> EncoderShape:
    """Return the sizes of any other architecture, counted on a model that has no memory."""
    import torch
    from torch import nn
    from transformers import AutoConfig, AutoModel
    from transformers.pytorch_utils import Conv1D

    given = {key: value for key, value in fields.items() if key != "model_type"}
    try:
        config = AutoConfig.for_model(fields["model_type"], **given)
        with torch.device("meta"):
            model = AutoModel.from_config(config)
    except Exception as error:  # whatever a configuration lacks
        what = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{name}: its configuration makes no model ({what}); expected one of transformers"
        ) from error
    embeddings = {id(m.weight): m.weight.numel() for m in model.modules() if isinstance(m, nn.Embedding)}
    matrices = {id(m.weight): m.weight.numel() for m in model.modules() if isinstance(m, (nn.Linear, Conv1D))}
    heads = int(config.num_attention_heads)
    counted = Counted(
        parameters=sum(one.numel() for one in model.parameters()),
        embeddings=sum(embeddings.values()),
        matrices=sum(matrices.values()),
        biases=sum(one.numel() for key, one in model.named_parameters() if key.endswith("bias")),
        query_width=heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads),
    )
    return EncoderShape(
        name,
        layers=int(config.num_hidden_layers),
        width=int(config.hidden_size),
        heads=heads,
        feed_forward=int(getattr(config, "intermediate_size", None) or 4 * config.hidden_size),
        vocabulary=int(config.vocab_size),
        positions=int(getattr(config, "max_position_embeddings", None) or 10**9),
        token_types=int(getattr(config, "type_vocab_size", 0) or 0),
        model_type=str(config.model_type),
        counted=counted,
    )
