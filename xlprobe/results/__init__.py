"""The one tidy table that every measurement writes and every figure reads, and its writer."""

from xlprobe.results.schema import COLUMNS, SCHEMA
from xlprobe.results.table import Results
from xlprobe.results.writer import ResultsWriter, write_atomically

__all__ = ["COLUMNS", "SCHEMA", "Results", "ResultsWriter", "write_atomically"]
