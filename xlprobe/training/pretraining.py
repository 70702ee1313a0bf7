"""Pre-training Q_cross by masked-language modelling on code-switched pairs; everything else stays as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.loading import load
from xlprobe.errors import DataError, TrainingError
from xlprobe.samples import Encoder, ParallelSample, Sample
from xlprobe.training.classifier import set_cross_query
from xlprobe.training.code_switched import CodeSwitched, Order
from xlprobe.training.collation import MaskedTokens
from xlprobe.training.settings import TrainSettings, fix_seed
from xlprobe.training.stream import Stream
from xlprobe.training.tuning import check_frozen, frozen_hash, select, trained_tensors
from xlprobe.training.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel, TrainerCallback

__all__ = ["pretrain_cross_query", "train_lm_head", "vocabulary_of"]


def vocabulary_of(samples: Iterable[Sample], encoder: Encoder, size: int) -> Vocabulary:
    """Return the vocabulary that these samples need."""
    ids: set[int] = set()
    for sample in samples:
        ids.update(encoder.encode([sample]).input_ids[0].tolist())
    return Vocabulary.of(ids, encoder.tokenizer, size)


def train_lm_head(
    base: Checkpoint | str,
    corpus: Sequence[Sample],
    *,
    out: Path | str,
    settings: TrainSettings,
    trim: bool = True,
    callbacks: Sequence[TrainerCallback] = (),
) -> Checkpoint:
    """Train a masked-language-model head on an encoder that has none, with the encoder frozen.

    The output layer is tied to the word embedding, so only the head's transformation and bias are trained. With
    `trim`, training uses the corpus's pieces only; the head that is returned has the whole vocabulary (bias 0
    for pieces that the corpus lacks).
    """
    checkpoint = load(base) if isinstance(base, str) else base
    fix_seed(settings.seed)
    encoder = _encoder(checkpoint, settings)
    corpus = _fitting(corpus, encoder)
    model = _with_lm_head(checkpoint, settings)
    vocabulary, whole = _trimmed(model, corpus, encoder, trim)
    select(model, "lm-head")
    report = _run(
        model, corpus, encoder, vocabulary, settings, Path(out), callbacks, {"routine": "train_lm_head"}, False
    )
    if whole is not None:
        vocabulary.restore(model, whole)
    provenance = {
        **checkpoint.provenance, "base": checkpoint.spec, "routine": "train_lm_head", "settings": asdict(settings),
        "pieces": len(vocabulary), "run": report,
    }  # fmt: skip
    return Checkpoint(Path(out).name, str(out), model.eval(), checkpoint.tokenizer, provenance, checkpoint.encoding)


def pretrain_cross_query(
    base: Checkpoint | str,
    corpus: Sequence[ParallelSample | Sample],
    *,
    out: Path | str,
    settings: TrainSettings,
    pairs: Sequence[str],
    specific: bool = False,
    order: Order = "x-x",
    trim: bool = True,
    start: Mapping[str, Tensor] | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Pre-train Q_cross on a parallel corpus; return its tensors by name, and what the run was like.

    `base` has a masked-language-model head (see `train_lm_head`). `pairs` such as ["en-fr", "en-de"]: one Q_cross is
    shared by all of them, or with `specific` each has its own. Q_cross starts as a copy of Q, or from `start`. The
    masks are the non-interfering ones. Everything but Q_cross is frozen, which is checked by hash afterwards.
    Source: arXiv 2310.15258, section 3.
    """
    from xlprobe.encoders.convert import to_cross_query

    checkpoint = load(base) if isinstance(base, str) else base
    if checkpoint.head != "mlm":
        raise TrainingError(
            f"{checkpoint.name} has no masked-language-model head; "
            "train one first with train_lm_head (xlprobe pretrain does)"
        )
    _check_kind(checkpoint)
    fix_seed(settings.seed)
    encoder = _encoder(checkpoint, settings)
    switched = _fitting(CodeSwitched(corpus, pairs, order, settings.seed), encoder)
    by_token = switched[0].word_languages is not None
    options = {"pairs": list(pairs) if specific else None, "language_by": "token" if by_token else "segment"}
    model = to_cross_query(checkpoint.model, "mlm", **_without_dropout(settings), **options)
    if start is not None:
        set_cross_query(model, start)
    vocabulary, _ = _trimmed(model, switched, encoder, trim)
    select(model, "cross-query")
    what = {"routine": "pretrain_cross_query", "pairs": list(pairs), "specific": specific, "order": order}
    before = frozen_hash(model)
    report = _run(model, switched, encoder, vocabulary, settings, Path(out), callbacks, what, True)
    check_frozen(model, before)
    tensors = {name: tensor.clone() for name, tensor in trained_tensors(model).items()}
    return tensors, {**what, "settings": asdict(settings), "pieces": len(vocabulary), "run": report}


def _check_kind(checkpoint: Checkpoint) -> None:
    """Refuse models of which neither the vocabulary's trimming nor the file of Q_cross knows the parts."""
    if not hasattr(getattr(checkpoint.model.base_model, "encoder", None), "layer"):
        raise TrainingError(
            f"{checkpoint.name} is a {type(checkpoint.model).__name__}; to pre-train a Q_cross expected an encoder "
            "built as BERT and XLM-R are. Fine-tune with query = 'copy', which starts it as a copy of the query"
        )


def _encoder(checkpoint: Checkpoint, settings: TrainSettings) -> Encoder:
    if checkpoint.tokenizer.mask_token_id is None:
        raise TrainingError(f"{checkpoint.name}: its tokenizer has no mask token; masked-language modelling needs one")
    return checkpoint.encoder(settings.max_length)


def _fitting(corpus: Sequence[Sample], encoder: Encoder) -> Sequence[Sample]:
    """Return the corpus, or, where texts are too long, the ones that fit; what is left out is reported."""
    fitting = [place for place in range(len(corpus)) if encoder.length(corpus[place]) <= encoder.max_length]
    if len(fitting) == len(corpus):
        return corpus
    print(f"left out {len(corpus) - len(fitting)} of {len(corpus)} texts with more than {encoder.max_length} tokens")
    if not fitting:
        raise DataError(f"every text has more than {encoder.max_length} tokens; raise max_length")
    return _Chosen(corpus, fitting)


class _Chosen(Sequence[Sample]):
    """Some places of a corpus."""

    def __init__(self, corpus: Sequence[Sample], places: list[int]) -> None:
        self.corpus, self.places = corpus, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self.corpus[number] for number in self.places[place]]
        return self.corpus[self.places[place]]


def _with_lm_head(checkpoint: Checkpoint, settings: TrainSettings) -> PreTrainedModel:
    from transformers import AutoModelForMaskedLM

    if checkpoint.is_cross_query or checkpoint.head != "none":
        raise TrainingError(
            f"{checkpoint.name} is no bare encoder (its head: {checkpoint.head}); expected one to give a head to"
        )
    _check_kind(checkpoint)
    config = type(checkpoint.model.config).from_dict(
        {**checkpoint.model.config.to_dict(), **_without_dropout(settings)}
    )
    config.tie_word_embeddings = True
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = AutoModelForMaskedLM.from_config(config)
    state = {name: t for name, t in checkpoint.model.state_dict().items() if not name.startswith("pooler.")}
    model.base_model.load_state_dict(state)
    model.tie_weights()
    return model.to(checkpoint.device)


def _without_dropout(settings: TrainSettings) -> dict[str, Any]:
    if settings.dropout is None:
        return {}
    return {"hidden_dropout_prob": settings.dropout, "attention_probs_dropout_prob": settings.dropout}


def _trimmed(model: Any, corpus: Iterable[Sample], encoder: Encoder, trim: bool) -> tuple[Vocabulary, Tensor | None]:
    size = int(model.config.vocab_size)
    if not trim:
        return Vocabulary.whole(size), None
    vocabulary = vocabulary_of(corpus, encoder, size)
    return vocabulary, vocabulary.trim(model)


def _run(
    model: nn.Module,
    corpus: Sequence[Sample],
    encoder: Encoder,
    vocabulary: Vocabulary,
    settings: TrainSettings,
    out: Path,
    callbacks: Sequence[TrainerCallback],
    what: Mapping[str, Any],
    cross_query: bool,
) -> dict[str, Any]:
    from xlprobe.training.trainer import train as run

    stream = Stream(
        corpus,
        batch_size=settings.batch_size,
        steps=settings.total_steps(len(corpus)),
        seed=settings.seed,
        length=encoder.length,
    )
    collate = MaskedTokens(encoder, cross_query, encoder.tokenizer.mask_token_id, vocabulary, settings.seed)
    digest = hashlib.sha256(
        json.dumps([frozen_hash(model), what, settings.identity, len(corpus)], sort_keys=True, default=str).encode()
    )
    with _masked_positions_only(model):
        return run(model, stream, collate, settings, out, callbacks=callbacks, fingerprint=digest.hexdigest())


@contextmanager
def _masked_positions_only(model: Any) -> Iterator[None]:
    """Have the head look at the tokens that are to be guessed only, instead of computing every token's logits."""
    head = model.cls if hasattr(model, "cls") else model.lm_head
    chosen: list[Tensor] = []

    def before_model(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        labels = kwargs["labels"]
        chosen[:] = [labels != -100]
        return args, {**kwargs, "labels": labels[chosen[0]]}

    def before_head(module: nn.Module, args: tuple[Tensor, ...]) -> Tensor:
        return args[0][chosen[0]]

    handles = [
        model.register_forward_pre_hook(before_model, with_kwargs=True),
        head.register_forward_pre_hook(before_head),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
