"""The one tidy table that every measurement writes and every figure reads, and its writer."""

from xlprobe.results.schema import COLUMNS, SCHEMA
from xlprobe.results.table import Results
from xlprobe.results.writer import ResultsWriter

__all__ = ["COLUMNS", "SCHEMA", "Results", "ResultsWriter"]
