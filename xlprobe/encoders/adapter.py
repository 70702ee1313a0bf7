"""The TransformerLens adapter for BERT and XLM-R, plain and cross-query, with any head.

Its attention component does not imitate the attention: it shows the model's own hook points, whose edits act.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge.architecture_adapter import ArchitectureAdapter
from transformer_lens.model_bridge.generalized_components import (
    BlockBridge,
    EmbeddingBridge,
    LinearBridge,
    MLPBridge,
    NormalizationBridge,
    PosEmbedBridge,
    UnembeddingBridge,
)
from transformer_lens.model_bridge.generalized_components.base import GeneralizedComponent

from xlprobe.encoders.hooks import hook_points
from xlprobe.encoders.points import make_points
from xlprobe.errors import CheckpointError

__all__ = ["EncoderAdapter"]


class _Attention(GeneralizedComponent):
    """The attention of one layer: its output goes through `hook_out`, the rest are the model's own hook points."""

    hook_q: HookPoint
    hook_k: HookPoint
    hook_v: HookPoint
    hook_z: HookPoint
    hook_attn_scores: HookPoint
    hook_pattern: HookPoint

    def set_original_component(self, original_component: nn.Module) -> None:
        """Take over the attention module and show its hook points."""
        super().set_original_component(original_component)
        for name, point in make_points([original_component.self])[0].items():  # type: ignore[list-item]
            self.add_module(name, point)

    @property
    def W_Q(self) -> Float[Tensor, "head width d_head"]:
        """The weights of the queries, head by head."""
        return self._heads(self.q).mT

    @property
    def W_Q_cross(self) -> Float[Tensor, "head width d_head"]:
        """The weights of the cross-lingual queries; an `AttributeError` where the layer has none, or one per pair."""
        return self._heads(self.q_cross).mT

    @property
    def W_K(self) -> Float[Tensor, "head width d_head"]:
        """The weights of the keys, head by head."""
        return self._heads(self.k).mT

    @property
    def W_V(self) -> Float[Tensor, "head width d_head"]:
        """The weights of the values, head by head."""
        return self._heads(self.v).mT

    @property
    def W_O(self) -> Float[Tensor, "head d_head width"]:
        """The weights of the projection after the heads, head by head."""
        return self.o.weight.T.unflatten(0, (self._head_count(), -1))

    @property
    def b_Q(self) -> Float[Tensor, "head d_head"]:
        """The biases of the queries."""
        return self.q.bias.unflatten(0, (self._head_count(), -1))

    @property
    def b_K(self) -> Float[Tensor, "head d_head"]:
        """The biases of the keys."""
        return self.k.bias.unflatten(0, (self._head_count(), -1))

    @property
    def b_V(self) -> Float[Tensor, "head d_head"]:
        """The biases of the values."""
        return self.v.bias.unflatten(0, (self._head_count(), -1))

    @property
    def b_O(self) -> Float[Tensor, " width"]:
        """The bias of the projection after the heads."""
        return self.o.bias

    def _head_count(self) -> int:
        attention: Any = self.original_component
        return int(attention.self.num_attention_heads)

    def _heads(self, linear: Any) -> Float[Tensor, "head d_head width"]:
        return linear.weight.unflatten(0, (self._head_count(), -1))

    def forward(self, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the layer's own attention between `hook_in` and `hook_out` (after projection, residual and norm)."""
        attention: Any = self.original_component
        output, *rest = attention(self.hook_in(hidden_states), *args, **kwargs)
        return self.hook_out(output), *rest


class _Block(BlockBridge):
    """A layer with the norm after each residual sum; the names are those of TransformerLens's BERT."""

    hook_aliases = {  # noqa: RUF012
        "hook_resid_pre": "hook_in",
        "hook_resid_mid": "ln1.hook_in",
        "hook_resid_post": "hook_out",
        "hook_attn_out": "attn.o.hook_out",
        "hook_mlp_out": "mlp.out.hook_out",
    }


class EncoderAdapter(ArchitectureAdapter):
    """Maps an encoder's modules to TransformerLens's names."""

    supports_generation: bool = False

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.cfg.normalization_type = "LN"
        self.cfg.positional_embedding_type = "standard"
        self.cfg.final_rms = False
        self.cfg.gated_mlp = False
        self.cfg.attn_only = False
        self.cfg.attention_dir = "bidirectional"
        # The norms come after the residual sums, so they cannot be folded into the weights that follow.
        self.supports_fold_ln = False
        self.component_mapping = {}

    def prepare_model(self, hf_model: Any) -> None:
        """Choose the components by what the model has."""
        encoder = hf_model.base_model
        if not hasattr(getattr(encoder, "encoder", None), "layer") or not hasattr(encoder, "embeddings"):
            raise CheckpointError(f"got a {type(hf_model).__name__}; expected a BERT or XLM-R encoder for the lens")
        hook_points(hf_model)
        prefix = "" if encoder is hf_model else f"{hf_model.base_model_prefix}."
        self.component_mapping = {
            "embed": EmbeddingBridge(name=f"{prefix}embeddings.word_embeddings"),
            "token_type_embed": EmbeddingBridge(name=f"{prefix}embeddings.token_type_embeddings"),
            "pos_embed": PosEmbedBridge(name=f"{prefix}embeddings.position_embeddings"),
            "embed_ln": self._norm(f"{prefix}embeddings.LayerNorm"),
            "blocks": self._blocks(f"{prefix}encoder.layer"),
            **self._head(hf_model, prefix),
        }

    def _norm(self, name: str) -> NormalizationBridge:
        return NormalizationBridge(name=name, config=self.cfg, use_native_layernorm_autograd=True)

    def _blocks(self, name: str) -> _Block:
        attention: dict[str, GeneralizedComponent] = {
            "q": LinearBridge(name="self.query"),
            "k": LinearBridge(name="self.key"),
            "v": LinearBridge(name="self.value"),
            "q_cross": LinearBridge(name="self.cross_lingual_query", optional=True),
            "o": LinearBridge(name="output.dense"),
        }
        return _Block(
            name=name,
            submodules={
                "ln1": self._norm("attention.output.LayerNorm"),
                "ln2": self._norm("output.LayerNorm"),
                "attn": _Attention(name="attention", config=self.cfg, submodules=attention),
                "mlp": MLPBridge(
                    name=None,
                    config=self.cfg,
                    submodules={
                        "in": LinearBridge(name="intermediate.dense"),
                        "out": LinearBridge(name="output.dense"),
                    },
                ),
            },
        )

    def _head(self, model: Any, prefix: str) -> dict[str, GeneralizedComponent]:
        head: dict[str, GeneralizedComponent] = {}
        if getattr(model.base_model, "pooler", None) is not None:
            head["pooler"] = LinearBridge(name=f"{prefix}pooler.dense")
        if hasattr(model, "lm_head"):
            head["mlm_head"] = LinearBridge(name="lm_head.dense")
            head["ln_final"] = self._norm("lm_head.layer_norm")
            head["unembed"] = UnembeddingBridge(name="lm_head.decoder")
        elif hasattr(getattr(model, "cls", None), "predictions"):
            head["mlm_head"] = LinearBridge(name="cls.predictions.transform.dense")
            head["ln_final"] = self._norm("cls.predictions.transform.LayerNorm")
            head["unembed"] = UnembeddingBridge(name="cls.predictions.decoder")
        elif hasattr(getattr(model, "classifier", None), "out_proj"):
            head["classifier_dense"] = LinearBridge(name="classifier.dense")
            head["unembed"] = UnembeddingBridge(name="classifier.out_proj")
        elif hasattr(model, "classifier"):
            head["unembed"] = UnembeddingBridge(name="classifier")
        return head
