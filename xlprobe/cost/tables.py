"""Costs as text: one encoder in detail, several side by side."""

from __future__ import annotations

from collections.abc import Iterable

from xlprobe.cost.arithmetic import costs_of
from xlprobe.cost.shapes import EncoderShape

__all__ = ["cost_text", "markdown_table"]


def cost_text(shape: EncoderShape, batch: int, length: int, bytes_per_value: int = 4) -> str:
    """Return a table of one encoder: plain, with Q_cross, and their ratio."""
    options = {"batch": batch, "length": length, "bytes_per_value": bytes_per_value}
    plain, crossed = costs_of(shape, "plain", **options), costs_of(shape, "cross-query", **options)
    pairs = f"{shape.num_pairs} pairs" if shape.num_pairs else "shared"
    share = shape.query_parameters / shape.parameters
    lines = [
        f"{shape.name}: {shape.layers} layers, width {shape.width}, {shape.heads} heads, feed-forward "
        f"{shape.feed_forward}, vocabulary {shape.vocabulary:,}",
        f"parameters without Q_cross: {shape.parameters:,} ({shape.embedding_parameters:,} in the embeddings)",
        f"Q_cross: {shape.query_parameters:,} parameters if shared ({share:.2%}), and as many for each language pair",
        f"with Q_cross ({pairs}): {crossed.parameters:,}",
        f"trained by BitFit: {shape.biases:,} biases of the encoder",
        "",
        f"batch of {batch} x {length} tokens, {bytes_per_value} bytes a value" + " " * 8,
        f"{'':28}{'plain':>12}{'Q_cross':>12}{'ratio':>8}",
    ]
    for label, name in (("forward", "forward"), ("step, BitFit", "step"), ("step, all", "full_step"),
                        ("capture", "capture")):  # fmt: skip
        before, after = getattr(plain, name) / 1e12, getattr(crossed, name) / 1e12
        lines.append(f"{label + ', TFLOP':28}{before:>12.4g}{after:>12.4g}{after / before:>8.3f}")
    for label, name in (("forward", "forward_bytes"), ("step, BitFit", "step_bytes"),
                        ("step, all", "full_step_bytes"), ("capture", "capture_bytes")):  # fmt: skip
        before, after = getattr(plain, name) / 2**30, getattr(crossed, name) / 2**30
        lines.append(f"{label + ', GiB (estimate)':28}{before:>12.3g}{after:>12.3g}{after / before:>8.3f}")
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(shapes: Iterable[EncoderShape], batch: int = 32, length: int = 128) -> str:
    """Return a Markdown table with one row per encoder: what Q_cross adds."""
    head = ["encoder", "parameters", "one Q_cross", "of all", "forward, TFLOP", "with Q_cross", "ratio", "BitFit step",
            "capture, GiB", "with Q_cross, GiB"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for shape in shapes:
        plain = costs_of(shape, "plain", batch=batch, length=length)
        crossed = costs_of(shape, "cross-query", batch=batch, length=length)
        cells = [
            shape.name,
            f"{shape.parameters / 1e6:,.1f} M",
            f"{shape.query_parameters / 1e6:,.2f} M",
            f"{shape.query_parameters / shape.parameters:.2%}",
            f"{plain.forward / 1e12:.3g}",
            f"{crossed.forward / 1e12:.3g}",
            f"{crossed.forward / plain.forward:.3f}",
            f"{crossed.step / plain.step:.3f}",
            f"{plain.capture_bytes / 2**30:.2f}",
            f"{crossed.capture_bytes / 2**30:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
