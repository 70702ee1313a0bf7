"""From samples to what a model's forward pass takes in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xlprobe.encoders.masks import language_masks
from xlprobe.samples import Batch, Encoder, Sample
from xlprobe.training.stream import seed_of
from xlprobe.training.vocabulary import Vocabulary

__all__ = ["Classification", "MaskedTokens"]


@dataclass(frozen=True)
class Classification:
    """Collates samples for a classifier.

    `structured_dropout` closes, for models without Q_cross, each pair of tokens of two languages with that probability
    (the first token's row and column stay open); draws depend on the seed and the example's place in the run.
    """

    encoder: Encoder
    cross_query: bool
    structured_dropout: float = 0.0
    seed: int = 0

    def __call__(self, items: Sequence[tuple[int, Sample]]) -> dict[str, Tensor]:
        """Encode the samples, with their labels."""
        batch = self.encoder.encode([sample for _, sample in items])
        inputs = {**batch.model_inputs(self.cross_query), "labels": batch.labels}
        if self.structured_dropout > 0:
            seeds = torch.tensor([seed_of(self.seed, "closed", place) % 2**31 for place, _ in items])
            opened, _ = language_masks(
                batch.language_ids, batch.attention_mask, self.structured_dropout, 1.0,
                seed=torch.tensor([self.seed]), sample_seeds=seeds,
            )  # fmt: skip
            inputs["attention_mask"] = opened[:, None]
        return inputs


@dataclass(frozen=True)
class MaskedTokens:
    """Collates samples for masked-language modelling: of 15 % of the tokens, 80 % masked, 10 % replaced, 10 % kept.

    What is masked depends on the seed and the example's place in the run only (Devlin et al. 2019, section 3.1).
    Special tokens are never chosen; a sample always has at least one chosen token.
    """

    encoder: Encoder
    cross_query: bool
    mask_id: int
    vocabulary: Vocabulary
    seed: int = 0
    share: float = 0.15

    def __call__(self, items: Sequence[tuple[int, Sample]]) -> dict[str, Tensor]:
        """Encode the samples and mask them; labels are -100 where nothing is to be guessed."""
        batch = self.encoder.encode([sample for _, sample in items])
        return self.masked(batch, [place for place, _ in items])

    def masked(self, batch: Batch, places: Sequence[int]) -> dict[str, Tensor]:
        """Return the masked inputs and the labels of a batch whose examples have these places in the run."""
        ids = self.vocabulary.encode(batch.input_ids)
        labels, inputs = torch.full_like(ids, -100), ids.clone()
        mask_id = int(self.vocabulary.encode(torch.tensor([self.mask_id]))[0])
        for row, place in enumerate(places):
            generator = torch.Generator().manual_seed(seed_of(self.seed, "mask", place))
            tokens = (~batch.special_mask[row]).nonzero()[:, 0]
            chosen = tokens[torch.rand(len(tokens), generator=generator) < self.share]
            if len(chosen) == 0:
                chosen = tokens[torch.randint(len(tokens), (1,), generator=generator)]
            labels[row, chosen] = ids[row, chosen]
            draw = torch.rand(len(chosen), generator=generator)
            inputs[row, chosen[draw < 0.8]] = mask_id
            replaced = chosen[(draw >= 0.8) & (draw < 0.9)]
            inputs[row, replaced] = torch.randint(len(self.vocabulary), (len(replaced),), generator=generator)
        return {**batch.model_inputs(self.cross_query), "input_ids": inputs, "labels": labels}
