"""The report: figures and one self-contained page about a table of results."""
