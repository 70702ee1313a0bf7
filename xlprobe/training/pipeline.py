"""transformers' pipeline of text classification for a context and a question; it makes their language ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import TextClassificationPipeline

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.encoders.cross_query import is_cross_query
from xlprobe.encoders.modules import unwrapped
from xlprobe.errors import DataError
from xlprobe.languages import get_language
from xlprobe.samples import Sample

__all__ = ["ReasoningPipeline"]

_TEXTS = ("context", "question")
_LANGUAGES = ("context_language", "question_language")


class ReasoningPipeline(TextClassificationPipeline):
    """Answers `{"context", "question", "context_language", "question_language"}`, one such dict or several.

    `context` is a text, or a list of sentences. The languages may also be given once for all, with the call or when the
    pipeline is made. Answers and `top_k` are those of transformers' text classification. Inputs are encoded as
    `Checkpoint.encoder` does it; plain models get no language ids. Made by `ReasoningPipeline(model=checkpoint.model,
    tokenizer=checkpoint.tokenizer, encoding=checkpoint.encoding)`, or by transformers' `pipeline("text-classification",
    model=DIRECTORY, pipeline_class=ReasoningPipeline)`, where a saved checkpoint says its encoding itself.
    """

    def __init__(self, *, encoding: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        model: Any = unwrapped(self.model)
        own = dict(getattr(model.config, "xlprobe_encoding", None) or {}) if encoding is None else encoding
        tokenizer: Any = self.tokenizer
        checkpoint = Checkpoint("pipeline", str(model.name_or_path), model, tokenizer, {}, own)
        self._encoder, self._crossed = checkpoint.encoder(), is_cross_query(model)

    def check_model_type(self, supported_models: Any) -> None:
        """Take the cross-query classifiers too."""
        if not is_cross_query(self.model):
            super().check_model_type(supported_models)

    def _sanitize_parameters(self, **options: Any) -> Any:  # type: ignore[override]
        if strange := sorted(set(options) - {*_LANGUAGES, "top_k", "function_to_apply"}):
            raise DataError(f"got the options {strange}; expected {', '.join(_LANGUAGES)}, top_k or function_to_apply")
        return super()._sanitize_parameters(**options)

    def preprocess(self, inputs: Any, **languages: Any) -> Any:  # type: ignore[override]
        """Encode one context and question."""
        given = {**languages, **inputs} if isinstance(inputs, Mapping) else {}
        if set(given) != {*_TEXTS, *_LANGUAGES}:
            raise DataError(f"got {inputs!r:.200}; expected a dict of {', '.join((*_TEXTS, *_LANGUAGES))}")
        for name in _LANGUAGES:
            get_language(given[name])
        context = given.pop("context")
        units = (context,) if isinstance(context, str) else tuple(context)
        batch = self._encoder.encode([Sample("input", "input", "input", context=units, **given)])
        return batch.model_inputs(self._crossed)
