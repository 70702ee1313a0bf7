"""From a plain encoder in memory to a cross-query one."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from xlprobe.encoders import cross_query
from xlprobe.encoders.convertible import check_converted, query_projection
from xlprobe.encoders.cross_families import family
from xlprobe.encoders.cross_models import cross_query_modules
from xlprobe.encoders.heads import SUFFIXES, Head
from xlprobe.errors import CheckpointError

__all__ = ["to_cross_query"]

_ENCODERS = {
    "bert": "Bert",
    "xlm-roberta": "XLMRoberta",
    "roberta": "XLMRoberta",
    "camembert": "XLMRoberta",
}


def to_cross_query(model: PreTrainedModel, head: Head | None = None, **options: Any) -> PreTrainedModel:
    """Return a cross-query model with a plain model's weights, each Q_cross a copy of its layer's Q.

    `head` defaults to the plain model's own; another one starts untrained, and its tensors are the only ones that do.
    `options` are the fields that `CrossQueryBertConfig` adds (`pairs`, `q_p_mask`, ...) and may override any other,
    such as `num_labels`. Encoders built as BERT and XLM-R are have classes of their own; of any other model the layer
    that makes the query is looked for, and the result must compute what the plain model does. It is left as it is.
    Raises `CheckpointError`, saying why, for a model that cannot have a second query, and for tensors that find no
    place.
    """
    suffix = SUFFIXES[head] if head is not None else _suffix_of(model)
    if other := model.config.model_type not in _ENCODERS:
        options["query_projection"] = query_projection(model)
    arguments: dict[str, Any] = {}
    if suffix == "Model" and (other is False or hasattr(model.base_model, "pooler")):
        arguments["add_pooling_layer"] = getattr(model.base_model, "pooler", None) is not None
    made: Any = _untrained(model.config, suffix, options, **arguments)
    _fill(made, model)
    made.to(device=model.device, dtype=model.dtype).train(model.training)
    if other:
        check_converted(made, model)
    return made  # type: ignore[no-any-return]


def _untrained(config: PretrainedConfig, suffix: str, options: dict[str, Any], **arguments: Any) -> PreTrainedModel:
    """Return a new cross-query model ("Model", "ForSequenceClassification", ...) by a plain encoder's configuration."""
    name = _ENCODERS.get(config.model_type)
    heads = {head: end for head, end in SUFFIXES.items() if end == suffix}
    if name is not None:
        kind: Any = getattr(cross_query, f"CrossQuery{name}{suffix}", None)
    else:
        kind = family(type(config)).get(next(iter(heads)))
    if kind is None:
        raise CheckpointError(f"got a {config.model_type!r} model; transformers has no head {suffix!r} for it")
    dropped = {"model_type", "architectures"} | ({"id2label", "label2id"} if "num_labels" in options else set())
    fields = {key: value for key, value in config.to_dict().items() if key not in dropped}
    return kind(kind.config_class(**{**fields, **options}), **arguments)  # type: ignore[no-any-return]


def _suffix_of(model: nn.Module) -> str:
    for suffix in SUFFIXES.values():
        if type(model).__name__.endswith(suffix):
            return suffix
    raise CheckpointError(
        f"got a {type(model).__name__}; expected a bare encoder, a sequence classifier or a masked language model. Say "
        "head='none' to take its encoder only"
    )


def _fill(made: PreTrainedModel, model: PreTrainedModel) -> None:
    """Copy every tensor of the plain model that has a place; what is left over must belong to a head."""
    tensors = made.state_dict()
    source = model.state_dict()
    if model.base_model is not model and made.base_model is made:
        prefix = model.base_model_prefix + "."
        source = {key.removeprefix(prefix): value for key, value in source.items() if key.startswith(prefix)}
    elif model.base_model is model and made.base_model is not made:
        source = {f"{made.base_model_prefix}.{key}": value for key, value in source.items()}
    encoder = "" if made.base_model is made else made.base_model_prefix + "."
    lost = [key for key in source if key not in tensors and key.startswith(encoder) and "pooler." not in key]
    if lost:
        raise CheckpointError(f"{type(made).__name__} has no place for {lost[:4]}; expected a plain {encoder} encoder")
    made.load_state_dict({**tensors, **{key: source[key] for key in tensors if key in source}})
    made.tie_weights()
    for module in cross_query_modules(made):
        for linear in module.cross_queries().values():
            linear.load_state_dict(module.query_tensors())
