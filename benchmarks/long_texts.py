"""Peak memory of one long text: python -m benchmarks.long_texts [--tokens 8192] [--queries 256, or 0: all at once]."""

from __future__ import annotations

import argparse
import resource

import torch
from transformers import LlamaConfig, LlamaModel

from xlprobe.encoders.hooks import hook_points
from xlprobe.encoders.layout import layout_of
from xlprobe.languages import language_id
from xlprobe.measuring.attention import AttentionReader, read_by
from xlprobe.measuring.forward import capture
from xlprobe.measuring.plan import Comparisons, PairedBatch, Version
from xlprobe.metrics import get_metric
from xlprobe.samples.types import Sample


def peak() -> float:
    """Return the largest resident size so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def long_batch(tokens: int) -> PairedBatch:
    """Return one text of random tokens, ten units of context and a question of a tenth."""
    place = torch.arange(tokens)[None]
    units = place * 11 // tokens
    special = place == 0
    nothing = torch.zeros(0, dtype=torch.long)
    names = torch.zeros(0).numpy().astype(object)
    return PairedBatch(
        input_ids=torch.randint(3, 100, (1, tokens), generator=torch.Generator().manual_seed(0)),
        attention_mask=torch.ones(1, tokens, dtype=torch.long), token_type_ids=None,
        language_ids=torch.full((1, tokens), language_id("en")), segment_ids=(units == 10).long(),
        unit_ids=units.masked_fill(special, -1), special_mask=special, labels=torch.tensor([-100]),
        samples=(Sample("0", "0", "random", "en", "en", ("",) * 10, ""),), versions=(Version(0, "en", "en"),),
        owned=torch.zeros(1, dtype=torch.long),
        comparisons=Comparisons(nothing, nothing, nothing.bool(), names, names),
    )  # fmt: skip


def main() -> None:
    """Measure lift and mass of every layer and head, and print the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--queries", type=int, default=256)
    options = parser.parse_args()
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8, "intermediate_size": 64}
    model = LlamaModel(LlamaConfig(**sizes, vocab_size=100, max_position_embeddings=options.tokens)).eval()
    checkpoint = type("Tiny", (), {"name": "tiny", "model": model, "head": "none", "is_cross_query": False,
                                   "num_layers": 2, "device": model.device, "can_answer": False})()  # fmt: skip
    layout_of(model)
    hook_points(model)
    before = peak()
    batch = long_batch(options.tokens)
    lifts = []
    metrics = [get_metric("mass_lift")]
    reader = AttentionReader(lambda values, labels, **columns: lifts.append(values), read_by(metrics))
    capture(checkpoint, [batch], [reader], queries_at_once=options.queries or None)
    print(f"{options.tokens} tokens, 8 heads, {options.queries or 'all'} queries at a time: {before:.0f} MiB before, "
          f"{peak():.0f} MiB at the peak")  # fmt: skip


if __name__ == "__main__":
    main()
