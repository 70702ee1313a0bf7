"""Hooks that capture attention and hidden states, and the reducers they feed."""

from xlprobe.measuring.stream import AttentionCapture, HiddenCapture, OutputCapture, Reducer, capture

__all__ = ["AttentionCapture", "HiddenCapture", "OutputCapture", "Reducer", "capture"]
