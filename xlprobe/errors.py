"""The errors that xlprobe raises on bad input.

Each message says what was got, what was expected and what to do. Everything derives from `XlprobeError`,
so `except XlprobeError` catches all of them and nothing else.
"""

LONGEST = 1500
"""Characters of a message at most: what a user's file holds may be quoted in it, and may be long."""


class XlprobeError(Exception):
    """Base of every error that xlprobe raises on purpose."""

    def __str__(self) -> str:
        # Errors of other libraries, quoted, may have several lines.
        text = " ".join(line.strip() for line in super().__str__().splitlines())
        if len(text) <= LONGEST:
            return text
        return f"{text[: LONGEST * 2 // 3]} [... {len(text) - LONGEST:,} characters ...] {text[-LONGEST // 3 :]}"


class DataError(XlprobeError):
    """A file, a sample, a language or a pair is not what was expected."""


class CheckpointError(XlprobeError):
    """A checkpoint cannot be read, is of another architecture, or lacks a part that is needed."""


class CaptureError(XlprobeError):
    """Attention or hidden states cannot be captured, or an intervention would have no effect."""


class TrainingError(XlprobeError):
    """Training cannot start or cannot go on."""


class ResultsError(XlprobeError):
    """A table of results cannot be read, written, or does not hold what was asked for."""
