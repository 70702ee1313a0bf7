"""Arithmetic and memory of forward pass, training step and capture, counted from an encoder's sizes.

One multiplication with its addition counts as two operations. Elementwise work is left out of the operations: it costs
time by its memory traffic, which `Costs.capture_bytes` and the measurements show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xlprobe.cost.shapes import EncoderShape
from xlprobe.errors import DataError

__all__ = ["Costs", "costs_of"]

Mechanism = Literal["plain", "cross-query"]

_BACKWARD_ATTENTION = 2.5
"""Of a flash kernel's backward pass against its forward pass: five products for two, the scores once more included."""


@dataclass(frozen=True)
class Costs:
    """Costs of one batch: operations (multiply and add: 2), and bytes of peak memory beside the other processes'.

    `parameters` counts the encoder with its Q_cross. `step` trains the biases and a classifier (BitFit), `full_step`
    everything. `*_bytes` include the weights, and for steps gradients, AdamW's two moments and what is kept for the
    backward pass; they are estimates from the tensors that must exist at once.
    """

    mechanism: Mechanism
    batch: int
    length: int
    bytes_per_value: int
    parameters: int
    forward: float
    step: float
    full_step: float
    capture: float
    forward_bytes: float
    step_bytes: float
    full_step_bytes: float
    capture_bytes: float


def costs_of(
    shape: EncoderShape,
    mechanism: Mechanism = "plain",
    *,
    batch: int = 32,
    length: int = 128,
    bytes_per_value: int = 4,
) -> Costs:
    """Count what a batch costs; the two queries run as two fused attentions, as `xlprobe.encoders` does.

    Raises `DataError` for sizes below 1 and for more tokens than the encoder has positions.
    """
    if min(batch, length, bytes_per_value) < 1:
        raise DataError(f"got batch={batch}, length={length}, bytes={bytes_per_value}; expected at least 1 each")
    if length > shape.positions:
        raise DataError(f"got length={length}; {shape.name} has {shape.positions} positions")
    crossed = shape.crossed_layers if mechanism == "cross-query" else 0
    linear, attention = _operations(shape, crossed, batch * length, length)
    explicit = 2.0 * crossed * batch * length * length * shape.query_width
    count = shape.parameters + (max(1, shape.num_pairs) * shape.query_parameters if crossed else 0)
    weights = count * bytes_per_value
    live = _live_values(shape, batch, length) * bytes_per_value
    masks = 2 * batch * length * length * (bytes_per_value + 1) if crossed else batch * length * length
    pattern = batch * shape.heads * length * length * bytes_per_value
    kept = _kept_values(shape, crossed, batch, length)
    forward_bytes = weights + live + masks
    return Costs(
        mechanism=mechanism,
        batch=batch,
        length=length,
        bytes_per_value=bytes_per_value,
        parameters=count,
        forward=linear + attention,
        # Frozen matrices cost no gradient of their own, but the gradient goes through all of them.
        step=2 * linear + (1 + _BACKWARD_ATTENTION) * attention,
        full_step=3 * linear + (1 + _BACKWARD_ATTENTION) * attention,
        # The explicit form multiplies by the values once, not once for each query.
        capture=linear + attention - explicit,
        forward_bytes=forward_bytes,
        step_bytes=forward_bytes + kept[0] * bytes_per_value + 12 * shape.biases,
        full_step_bytes=forward_bytes + kept[1] * bytes_per_value + 12 * count,
        capture_bytes=forward_bytes + pattern * (3 if crossed else 2),
    )


def _operations(shape: EncoderShape, crossed: int, tokens: int, length: int) -> tuple[float, float]:
    """Return the operations of matrices and of attention."""
    linear = 2.0 * tokens * (shape.matrices + crossed * shape.width * shape.query_width)
    attention = 4.0 * tokens * length * shape.query_width * (shape.layers + crossed)
    return linear, attention


def _live_values(shape: EncoderShape, batch: int, length: int) -> float:
    """Values that one layer holds at once in a forward pass without gradients: the feed-forward's, twice, and more."""
    return float(batch * length * (2 * shape.feed_forward + 3 * shape.width))


def _kept_values(shape: EncoderShape, crossed: int, batch: int, length: int) -> tuple[float, float]:
    """Values kept for the backward pass, by BitFit and by full training.

    A layer keeps the queries, keys, values, the attention's output and log-sum-exps, dropout's masks, the inputs of
    both LayerNorms and of GELU; training matrices adds their inputs.
    """
    h, f = shape.width, shape.feed_forward
    frozen = shape.layers * (4 * h + 2 * h + h // 2 + f + shape.heads) + crossed * (h + shape.heads)
    inputs = shape.layers * (3 * h + f)
    tokens = batch * length
    return float(tokens * frozen), float(tokens * (frozen + inputs))
