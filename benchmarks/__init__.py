"""Benchmarks: `python -m benchmarks` runs them all; ratios of what is measured side by side, never bare times."""
