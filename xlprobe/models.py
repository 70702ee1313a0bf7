"""The name of version 0.1 for what is now `xlprobe.encoders` and `xlprobe.checkpoints`; goes in version 0.3."""

from __future__ import annotations

import sys

from xlprobe import checkpoints, encoders
from xlprobe.checkpoints import checkpoint
from xlprobe.encoders import hooks

sys.modules[f"{__name__}.checkpoint"], sys.modules[f"{__name__}.hooks"] = checkpoint, hooks


def __getattr__(name: str) -> object:
    return getattr(checkpoints if name in checkpoints.__all__ else encoders, name)
