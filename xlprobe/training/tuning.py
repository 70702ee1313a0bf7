"""Which parameters a run trains, and proof that the others were left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from xlprobe.errors import TrainingError

__all__ = ["TUNINGS", "check_frozen", "select", "trained_tensors"]


_HEAD = ("classifier.", "pooler.")
_OTHER_HEADS = ("score.", "head.")
"""How ModernBERT and causal classifiers name theirs."""


def _bitfit(name: str) -> bool:
    return name.endswith(".bias") or any(part in name for part in _HEAD) or name.startswith(_OTHER_HEADS)


def _full(name: str) -> bool:
    return True


def _attention(name: str) -> bool:
    attends = any(part in name for part in (".attention.", ".self_attn.", ".attn."))
    return _bitfit(name) or (attends and ".cross_lingual_quer" not in name)


def _cross_query(name: str) -> bool:
    return ".cross_lingual_quer" in name


def _lm_head(name: str) -> bool:
    # The decoder is tied to the embedding; its bias is the head's own.
    return name.startswith(("cls.predictions.", "lm_head.")) and not name.endswith("decoder.weight")


TUNINGS: dict[str, Callable[[str], bool]] = {
    "bitfit": _bitfit,
    "full": _full,
    "attention": _attention,
    "cross-query": _cross_query,
    "lm-head": _lm_head,
}
"""Ways to tune: which parameter names are trained.

`bitfit`: all biases, classifier and pooler (Ben Zaken et al. 2022; the method's recipe: Q_cross keeps its weights, its
bias is trained). `full`: everything. `attention`: BitFit and the weights of Q, K, V and their output.
`cross-query`: Q_cross alone (its pre-training). `lm-head`: a masked-language-model head without its tied embedding.
"""


def select(model: nn.Module, tuning: str, freeze: tuple[str, ...] = ()) -> list[str]:
    """Let only the parameters of a tuning be trained, and return their names.

    `freeze` names parts that stay as they are whatever the tuning, such as "embeddings" (the tokens', whatever a model
    calls them). Raises `TrainingError` on an unknown tuning or part, and where nothing would be left to train.
    """
    if tuning not in TUNINGS:
        raise TrainingError(f"got tuning={tuning!r}; expected one of {', '.join(TUNINGS)}")
    names = [name for name, _ in model.named_parameters()]
    if "embeddings" in freeze and not any("embeddings" in name for name in names):
        freeze = tuple("embed_tokens" if part == "embeddings" else part for part in freeze)
    for part in freeze:
        if not any(part in name for name in names):
            raise TrainingError(f"got freeze={part!r}, which is in no parameter's name, such as {names[0]!r}")
    chosen = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad = TUNINGS[tuning](name) and not any(part in name for part in freeze)
        if parameter.requires_grad:
            chosen.append(name)
    if not chosen:
        raise TrainingError(f"{type(model).__name__} has no parameter that tuning={tuning!r} trains")
    return chosen


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that are being trained, by name."""
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


def frozen_hash(model: nn.Module) -> str:
    """Return the SHA-256 of every tensor of a model that is not being trained."""
    from xlprobe.checkpoints.hashing import hash_tensors

    trained = set(trained_tensors(model))
    tied = {parameter.data_ptr() for name, parameter in model.named_parameters() if name in trained}
    return hash_tensors(
        {
            name: tensor
            for name, tensor in model.state_dict().items()
            if name not in trained and tensor.data_ptr() not in tied
        }
    )


def check_frozen(model: nn.Module, before: str) -> None:
    """Raise `TrainingError` if a tensor that was not to be trained differs from what it was."""
    if frozen_hash(model) != before:
        raise TrainingError("a frozen tensor changed during training; this is a defect, and nothing was saved")


def set_tensors(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy named tensors into a model; raises `TrainingError` where names or shapes differ from what is trained."""
    own = trained_tensors(model)
    if set(own) != set(tensors) or any(own[name].shape != tensors[name].shape for name in own):
        wrong = sorted(set(own) ^ set(tensors)) or [name for name in own if own[name].shape != tensors[name].shape]
        raise TrainingError(
            f"{source} holds other tensors than this run trains ({len(wrong)} differ, such as {wrong[0]!r}); resume "
            "with the recipe that began the run, or start in an empty directory"
        )
    for name, parameter in own.items():
        parameter.copy_(tensors[name])
