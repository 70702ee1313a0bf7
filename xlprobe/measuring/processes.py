"""Which of the processes that share a run this one is, as accelerate and torchrun say it."""

from __future__ import annotations

import os

from xlprobe.errors import ResultsError

__all__ = ["pin_device", "process_count", "process_number", "refuse_processes"]


def process_count() -> int:
    """Return how many processes share this run ($WORLD_SIZE)."""
    return max(1, int(os.environ.get("WORLD_SIZE", "1") or 1))


def process_number() -> int:
    """Return the number of this process among those that share the run, from 0."""
    return int(os.environ.get("RANK", "0") or 0) if process_count() > 1 else 0


def pin_device() -> None:
    """Leave this process only the GPU of its own, so that "cuda" is another one in each; call before CUDA starts."""
    if process_count() == 1:
        return
    local = int(os.environ.get("LOCAL_RANK", "0") or 0)
    visible = [number for number in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if number.strip()]
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[local % len(visible)] if visible else str(local)


def refuse_processes(command: str, instead: str) -> None:
    """Raise `ResultsError` where several processes run a command that only one can."""
    if process_count() > 1:
        raise ResultsError(f"{process_count()} processes run {command}, which is for one; {instead}")
