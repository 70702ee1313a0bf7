"""The sizes of an encoder, by name or from a configuration; no weights are read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xlprobe.errors import CheckpointError

__all__ = ["SHAPES", "EncoderShape", "read_shape"]


@dataclass(frozen=True)
class EncoderShape:
    """Sizes of a BERT-like encoder; `num_pairs` 0 stands for one shared Q_cross, `cross_layers` for layers with one."""

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

    @property
    def crossed_layers(self) -> int:
        """How many layers have a Q_cross."""
        return self.layers if self.cross_layers is None else self.cross_layers

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embeddings and their LayerNorm."""
        return (self.vocabulary + self.positions + self.token_types) * self.width + 2 * self.width

    @property
    def layer_parameters(self) -> int:
        """Parameters of one layer without Q_cross."""
        h, f = self.width, self.feed_forward
        return 4 * (h * h + h) + (h * f + f) + (f * h + h) + 4 * h

    @property
    def parameters(self) -> int:
        """Parameters of the encoder without pooler, head and Q_cross."""
        return self.embedding_parameters + self.layers * self.layer_parameters

    @property
    def query_parameters(self) -> int:
        """Parameters of one Q_cross in all its layers: what a shared one adds, and each pair's."""
        return self.crossed_layers * (self.width * self.width + self.width)

    @property
    def biases(self) -> int:
        """What BitFit trains in the encoder: every bias, LayerNorm's too, that of one Q_cross not counted."""
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
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file}: cannot be read as a configuration ({error}); expected JSON") from error
        if not isinstance(found, dict):
            raise CheckpointError(f"{file}: holds a {type(found).__name__}; expected a configuration's fields")
        return _shape_of(spec, found)
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
    values = {}
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
        model_type=str(config.get("model_type", "bert")).removeprefix("cross-query-"),
        num_pairs=len(config.get("pairs") or ()),
        cross_layers=None if layers is None else len(layers),
    )
