"""Cross-query classes of any model of transformers whose attention module makes its query by a linear layer.

They are made when they are first asked for, by a plain class or by name, and the Auto classes know them from then on.
"""

from __future__ import annotations

import inspect
from functools import cache, wraps
from typing import Any

import transformers
from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from xlprobe.encoders.configuration import PREFIX, checked_layers, crossed_config
from xlprobe.encoders.cross_models import CopiesQuery, PlansAttention
from xlprobe.encoders.crossed import add_cross_queries
from xlprobe.encoders.crossed import register as register_attention
from xlprobe.encoders.heads import Head
from xlprobe.encoders.registration import AUTO, register

__all__ = ["HOME", "class_named", "family", "make_known"]

HOME = "xlprobe.encoders.cross_query"
"""The module under whose name the classes are found, by pickle too."""


class _Encoder(PlansAttention):
    """A model's encoder with Q_cross."""

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        add_cross_queries(self, checked_layers(config))
        self.post_init()  # type: ignore[attr-defined]


class _WithHead(CopiesQuery):
    """A model with a head; the encoder inside is the cross-query one."""

    encoder_class: type[Any]
    base_model_prefix: str

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        plain = getattr(self, self.base_model_prefix)
        if not isinstance(plain, self.encoder_class):
            more = {"add_pooling_layer": plain.pooler is not None} if hasattr(plain, "pooler") else {}
            setattr(self, self.base_model_prefix, self.encoder_class(config, **more))
            self.post_init()  # type: ignore[attr-defined]


def family(plain: Any) -> dict[Head, type[Any]]:
    """Return the cross-query classes by head, for a plain model's configuration class; registered."""
    return _made(plain)


@cache
def _made(plain: Any) -> dict[Head, type[Any]]:
    register_attention()
    config = crossed_config(plain, HOME)
    made: dict[Head, type[Any]] = {}
    for head, auto in AUTO.items():
        own = auto._model_mapping.get(plain, None)
        own = own[0] if isinstance(own, (tuple, list)) else own
        if own is None:
            continue
        about = {
            "config_class": config, "__module__": HOME, "__doc__": f"transformers' {own.__name__} with Q_cross.",
            "forward": _with_languages(own.forward), "encoder_class": made.get("none"),
        }  # fmt: skip
        if head == "none":
            del about["forward"]
        made[head] = type(PREFIX + own.__name__, (_Encoder if head == "none" else _WithHead, own), about)
    register(config, made)
    return made


def class_named(name: str) -> type[Any] | None:
    """Return the cross-query class of a name such as CrossQueryLlamaForCausalLM; None where there is none."""
    plain: Any = getattr(transformers, name.removeprefix(PREFIX), None)
    config = plain if isinstance(plain, type) and issubclass(plain, PretrainedConfig) else None
    config = config or getattr(plain, "config_class", None)
    if config is None:
        return None
    made = family(config)
    classes = [*made.values(), *(one.config_class for one in made.values())]
    return next((one for one in classes if one.__name__ == name), None)


def make_known(model_type: str) -> None:
    """Let the Auto classes read configurations of a type such as cross-query-llama."""
    plain = model_type.removeprefix("cross-query-")
    if plain != model_type and model_type not in CONFIG_MAPPING and plain in CONFIG_MAPPING:
        family(CONFIG_MAPPING[plain])


def _with_languages(forward: Any) -> Any:
    """Say in a forward pass's signature that it takes `language_ids`, which it hands on to the encoder."""

    @wraps(forward)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return forward(self, *args, **kwargs)

    own = inspect.signature(forward)
    more = [p for p in own.parameters.values() if p.kind is p.VAR_KEYWORD]
    listed = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    language_ids = inspect.Parameter("language_ids", inspect.Parameter.KEYWORD_ONLY, default=None)
    wrapped.__signature__ = own.replace(parameters=[*listed, language_ids, *more])  # type: ignore[attr-defined]
    return wrapped
