"""TransformerLens on xlprobe's checkpoints: the same model under TransformerLens's names, with edits that act."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from xlprobe.encoders.cross_query import is_cross_query
from xlprobe.encoders.hooks import attention_modules
from xlprobe.encoders.layout import position_limit
from xlprobe.encoders.modules import is_encoder_decoder
from xlprobe.errors import CaptureError, CheckpointError
from xlprobe.languages import language_id

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from xlprobe.checkpoints.checkpoint import Checkpoint

__all__ = ["check_lens", "lens"]

_ADAPTER = "XlprobeEncoder"
"""The name under which our adapter is registered; TransformerLens's own ones stay as they are."""


def lens(checkpoint: Checkpoint) -> TransformerBridge:
    """Return a `TransformerBridge` of a checkpoint: BERT or XLM-R, plain or cross-query, with its own head; or a model
    that TransformerLens itself has an adapter for (Llama, Qwen, Gemma, GPT-2 and others, as language models).

    It shares the checkpoint's weights and leaves its model as it is. Hook names are those of `hook_points`, with
    TransformerLens's for embeddings, residuals, norms and feed-forward. Run it on encoded batches:

        inputs = batch.model_inputs(checkpoint.is_cross_query)
        logits, cache = lens(checkpoint).run_with_cache(inputs.pop("input_ids"), **inputs)

    Texts get the checkpoint's own ids, and its tokenizer stays as it is. `W_Q`, `W_O` and so on, `stack_head_results`
    and the functions of `transformer_lens.patching` work; for a cross-query model the latter need `language_ids`, which
    they do not pass on, and say so. The result of a run are the logits, or the last hidden state of a bare encoder.
    `check_lens` runs first. Raises `CaptureError` if it fails, `CheckpointError` for other architectures.
    """
    from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

    from xlprobe.encoders.adapter import EncoderAdapter

    ArchitectureAdapterFactory.register_adapter(_ADAPTER, EncoderAdapter)
    adapter = _adapter_for(checkpoint.model, ArchitectureAdapterFactory)
    model = _twin(checkpoint.model)
    # The builder would give the tokenizer special tokens that it does not have; so it sees none.
    try:
        bridge = build_bridge_from_module(
            model, adapter, hf_config=model.config, tokenizer=None, model_name=checkpoint.name
        )
    except (RuntimeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CaptureError(f"TransformerLens's adapter {adapter} does not take this model ({error})") from error
    if checkpoint.tokenizer is not None:
        bridge.tokenizer = checkpoint.tokenizer
        # Its own first and last tokens are all that a text gets, and none of them is taken off.
        bridge.cfg.default_prepend_bos = bridge.cfg.tokenizer_prepends_bos = True
        bridge.cfg.tokenizer_appends_eos = False
        bridge.cfg.n_ctx = position_limit(model)
    check_lens(bridge, checkpoint.model)
    return bridge


def check_lens(bridge: Any, model: nn.Module) -> None:
    """Check that a bridge computes what the model does, that attention rows sum to 1, and that an edit acts.

    Raises `CaptureError` saying which of these fails. An edit that changes nothing is how a lens goes wrong silently.
    """
    inputs = _probe(model)
    first = "blocks.0.attn.hook_pattern"
    with torch.no_grad():
        expected = _tensor(model(**inputs))
        ids = inputs.pop("input_ids")
        logits, cache = bridge.run_with_cache(ids, names_filter=lambda name: name.endswith("hook_pattern"), **inputs)
        edited = bridge.run_with_hooks(ids, fwd_hooks=[(first, _look_at_first_token)], **inputs)
        after = bridge(ids, **inputs)
    tolerance = min(200 * torch.finfo(expected.dtype).eps, 0.2) * (1.0 + float(expected.abs().amax()))
    if logits.shape != expected.shape or float((logits - expected).abs().amax()) > tolerance:
        raise CaptureError(f"the lens does not compute what the model does; its output differs by over {tolerance:.1e}")
    layers = len(attention_modules(model))
    for layer in range(layers):
        rows = cache[f"blocks.{layer}.attn.hook_pattern"].sum(dim=-1)
        if float((rows.float() - 1.0).abs().amax()) > 0.02:
            raise CaptureError(
                f"attention rows of layer {layer} do not sum to 1; expected probabilities in hook_pattern"
            )
    if torch.equal(edited, after):
        raise CaptureError(f"an edit of {first} leaves the output as it is; edits would be without effect")


def _adapter_for(model: nn.Module, factory: Any) -> str:
    """Return the name of the adapter for a model: ours for encoders built as BERT is, else TransformerLens's own."""
    encoder: Any = model.base_model
    if hasattr(getattr(encoder, "encoder", None), "layer") and hasattr(encoder, "embeddings"):
        return _ADAPTER
    name = type(model).__name__
    if name in factory._adapters and not is_encoder_decoder(model):
        return name
    raise CheckpointError(
        f"got a {name}; expected a BERT or XLM-R encoder for the lens, or an architecture that TransformerLens has an "
        "adapter for, such as LlamaForCausalLM. hook_points and observe work without a lens"
    )


def _look_at_first_token(pattern: Tensor, hook: Any) -> Tensor:
    edited = torch.zeros_like(pattern)
    edited[..., 0] = 1.0
    return edited


def _probe(model: nn.Module) -> dict[str, Tensor]:
    """Two short code-switched inputs, one of them padded."""
    config: Any = model.config
    device = next(model.parameters()).device
    ids = torch.randint(5, max(6, config.vocab_size), (2, 8), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    ids[1, 6:] = config.pad_token_id or 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if is_cross_query(model):
        first, second = (config.pairs[0] if config.pairs else "en-fr").split("-")
        languages = torch.full_like(ids, language_id(first))
        languages[:, 4:] = language_id(second)
        inputs["language_ids"] = languages * mask
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def _tensor(output: Any) -> Tensor:
    return output.logits if hasattr(output, "logits") else output.last_hidden_state


def _twin(model: nn.Module) -> Any:
    """Copy a model's structure and share its weights, so that the bridge may exchange modules."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, memo=shared)  # type: ignore[arg-type]
