"""What Q_cross costs: parameters, arithmetic and memory of any encoder, from its configuration alone."""

from xlprobe.cost.arithmetic import Costs, costs_of
from xlprobe.cost.shapes import SHAPES, EncoderShape, read_shape

__all__ = ["SHAPES", "Costs", "EncoderShape", "costs_of", "read_shape"]
