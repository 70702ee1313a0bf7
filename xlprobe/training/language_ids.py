"""Language ids for transformers' own Trainer and forward passes: made from samples, and padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xlprobe.errors import DataError
from xlprobe.samples import Encoder, Sample

__all__ = ["LanguageCollator", "features_of"]

_COLUMNS = ("input_ids", "attention_mask", "token_type_ids", "language_ids")


def features_of(sample: Sample, encoder: Encoder) -> dict[str, Any]:
    """Return a sample as the features of one example (lists, unpadded), such as a data set's `map` keeps."""
    batch = encoder.encode([sample])
    row: dict[str, Any] = {name: getattr(batch, name)[0].tolist() for name in _COLUMNS}
    return row if sample.label is None else {**row, "labels": int(batch.labels[0])}


@dataclass(frozen=True)
class LanguageCollator:
    """Pads features on the right as transformers' `DataCollatorWithPadding` does, language ids (with 0) too.

    Features without language ids are padded as well; a label is a class index under `labels` or `label`.
    """

    pad_token_id: int

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Return the padded batch, as a model takes it; a `DataError` where features have different columns."""
        if strange := {
            name for feature in features for name in feature if not all(name in other for other in features)
        }:
            raise DataError(f"got features with and without {sorted(strange)}; expected the same columns in each")
        width = max(len(feature["input_ids"]) for feature in features)
        padding = {"input_ids": self.pad_token_id}
        batch = {
            name: torch.tensor(
                [[*feature[name], *[padding.get(name, 0)] * (width - len(feature[name]))] for feature in features]
            )
            for name in _COLUMNS
            if name in features[0]
        }
        label = next((name for name in ("labels", "label") if name in features[0]), None)
        if label is not None:
            batch["labels"] = torch.tensor([int(feature[label]) for feature in features])
        return batch
