"""Configurations of the encoders with a second, cross-lingual query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_type_hints

from huggingface_hub.dataclasses import strict
from transformers import BertConfig, PretrainedConfig, XLMRobertaConfig

from xlprobe.encoders.pairs import canonical_pair
from xlprobe.errors import CheckpointError

__all__ = [
    "PREFIX",
    "CrossQueryBertConfig",
    "CrossQueryOptions",
    "CrossQueryXLMRobertaConfig",
    "checked_layers",
    "crossed_config",
]

PREFIX = "CrossQuery"
"""What the names of our classes have before those of the plain ones."""


@dataclass(init=False, repr=False, eq=False)
class CrossQueryOptions:
    """The fields that a cross-query configuration adds to its encoder's."""

    q_p_mask: float | int = 1.0
    cross_p_mask: float | int = 1.0
    eval_q_p_mask: float | int = 1.0
    eval_cross_p_mask: float | int = 1.0
    pairs: list[str] | None = None
    fallback_pair: str | None = None
    language_by: str = "segment"
    cross_layers: list[int] | None = None

    @classmethod
    def get_config_dict(cls, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """As transformers'; a plain encoder's configuration may be read without a warning about another type."""
        config, unused = super().get_config_dict(*args, **kwargs)  # type: ignore[misc]
        plain = cls.__mro__[2].model_type  # type: ignore[attr-defined]
        if config.get("model_type") == plain:
            config = {**config, "model_type": cls.model_type}  # type: ignore[attr-defined]
        return config, unused


@strict
class CrossQueryBertConfig(CrossQueryOptions, BertConfig):
    """BERT's configuration and the second query's.

    `q_p_mask`, `cross_p_mask`: probability that Q's cross-language pairs and Q_cross's same-language pairs are closed
    in training (1 and 1 for pre-training, 0.7 and 0.7 for the interfering fine-tuning); `eval_q_p_mask` and
    `eval_cross_p_mask` the same in evaluation. `pairs`: None for one shared Q_cross, else a Q_cross for each of these
    unordered language pairs; `fallback_pair` serves all other pairs (None: they are an error). `language_by`:
    "segment" if the language changes only between context and question, "token" if anywhere. `cross_layers`: the
    0-based layers that have a Q_cross (None: all).
    """

    model_type = "cross-query-bert"


@strict
class CrossQueryXLMRobertaConfig(CrossQueryOptions, XLMRobertaConfig):
    """XLM-R's configuration and the second query's; the fields are those of `CrossQueryBertConfig`."""

    model_type = "cross-query-xlm-roberta"


def crossed_config(plain: type[PretrainedConfig], module: str) -> type[PretrainedConfig]:
    """Return a plain configuration class with the fields of `CrossQueryBertConfig`, to be found in `module`.

    `query_projection` names, in addition, the linear layer of each attention module that makes its query.
    """
    about = {
        "__module__": module, "__doc__": f"{plain.__name__} and the second query's fields.",
        "model_type": f"cross-query-{plain.model_type}", "query_projection": None,
        "__annotations__": {**get_type_hints(CrossQueryOptions), "query_projection": str | None},
    }  # fmt: skip
    return strict(type(PREFIX + plain.__name__, (CrossQueryOptions, plain), about))  # type: ignore[no-any-return]


def checked_layers(config: Any) -> list[int]:
    """Return the layers that get a Q_cross; raises `CheckpointError` on a configuration that makes no sense."""
    for name in ("q_p_mask", "cross_p_mask", "eval_q_p_mask", "eval_cross_p_mask"):
        if not 0 <= getattr(config, name) <= 1:
            raise CheckpointError(f"got {name}={getattr(config, name)} in the configuration; expected 0 to 1")
    if config.language_by not in ("segment", "token"):
        raise CheckpointError(f"got language_by={config.language_by!r}; expected 'segment' or 'token'")
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise CheckpointError("got a decoder's configuration; expected an encoder's. Set is_decoder=False")
    names = {canonical_pair(pair) for pair in config.pairs or ()}
    if config.pairs is not None and not names:
        raise CheckpointError("got pairs=[]; expected None for one shared Q_cross, or at least one pair such as en-fr")
    if config.fallback_pair is not None and canonical_pair(config.fallback_pair) not in names:
        raise CheckpointError(f"got fallback_pair={config.fallback_pair!r}; expected one of pairs={sorted(names)}")
    count = config.num_hidden_layers
    layers = list(range(count)) if config.cross_layers is None else sorted(set(config.cross_layers))
    if layers and not 0 <= layers[0] <= layers[-1] < count:
        raise CheckpointError(f"got cross_layers={config.cross_layers}; expected layers from 0 to {count - 1}")
    return layers
