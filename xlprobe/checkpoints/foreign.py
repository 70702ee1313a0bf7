"""Calls into other libraries with what users bring: silent, and their errors in one line of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from xlprobe.errors import CaptureError, CheckpointError

__all__ = ["called", "first_line", "quiet"]

Value = TypeVar("Value")


def called(what: str, call: Callable[[], Value]) -> Value:
    """Return what a call gives; any other error becomes a `CheckpointError`: `what` and the error's first line.

    A damaged file makes these libraries raise nearly anything, so everything is caught.
    """
    try:
        with quiet():
            return call()
    except (CheckpointError, CaptureError):
        raise
    except RecursionError as error:
        raise CheckpointError(f"{what} (nested too deeply)") from error
    except BaseException as error:
        # A panic of the tokenizers' own code is no `Exception`.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise CheckpointError(f"{what} ({first_line(error)})") from error
        raise


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, with the error's name where it says nothing; 200 characters."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else ""
    if len(text) < 20 or isinstance(error, KeyError):
        text = f"{type(error).__name__}: {text}".removesuffix(": ")
    return text if len(text) <= 200 else text[:197] + "..."


@contextmanager
def quiet() -> Iterator[None]:
    """Run a load without transformers' own progress bars and reports: what matters is raised."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    level, bars, hub_level = logging.get_verbosity(), logging.is_progress_bar_enabled(), hub_logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub_logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        hub_logging.set_verbosity(hub_level)
        if bars:
            logging.enable_progress_bar()
