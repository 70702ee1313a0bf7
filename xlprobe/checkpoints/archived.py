"""The archive of a finished run, as `xlprobe study run` keeps it: a zip with the run's weights."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from dataclasses import replace

from xlprobe.checkpoints.checkpoint import Checkpoint
from xlprobe.checkpoints.delta import WEIGHTS
from xlprobe.checkpoints.request import Format, Request, named
from xlprobe.errors import CheckpointError

__all__ = ["ARCHIVED"]


def _read(request: Request) -> Checkpoint:
    """Read the checkpoint of an archive, named as the archive is; raises `CheckpointError` where it holds none."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        try:
            with zipfile.ZipFile(request.path) as archive:
                file = archive.extract(WEIGHTS, scratch)
        except KeyError as error:
            raise CheckpointError(
                f"{request.spec} holds no {WEIGHTS}; expected the archive of a fine-tuned run. A Q_cross alone is "
                "unpacked by xlprobe.training.archives.unpack_archive"
            ) from error
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise CheckpointError(f"cannot read the archive {request.spec}: {error}. Get the file again") from error
        checkpoint = request.load(replace(request, spec=file))
    return named(checkpoint, request.path.stem, request.spec)


ARCHIVED = Format(lambda request: request.path.suffix == ".zip" and request.path.is_file(), _read)
