"""The interactive attention explorer: its data, its page, and a notebook cell of it."""

from xlprobe.plots.explorer.data import explorer_data
from xlprobe.plots.explorer.document import document
from xlprobe.plots.explorer.notebook import explore

__all__ = ["document", "explore", "explorer_data"]
