"""The interactive attention explorer: its data, and its parts for a page or a notebook cell."""

from xlprobe.plots.explorer.data import explorer_data
from xlprobe.plots.explorer.notebook import explore
from xlprobe.plots.explorer.parts import ExplorerParts, explorer_parts

__all__ = ["ExplorerParts", "explore", "explorer_data", "explorer_parts"]
