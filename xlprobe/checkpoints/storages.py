"""The numbers in a file of `torch.save`: storages, and the tensors that lie in them."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xlprobe.errors import CheckpointError

__all__ = ["STORAGES", "Held", "StorageType", "Storages"]

STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LARGEST_PROGRAM = 2**25


@dataclass(frozen=True, eq=False)
class Held:
    """Holds a tensor or storage where a pickle could get at it; the pickle has no way to its inside."""

    tensor: Tensor


@dataclass(frozen=True, eq=False)
class StorageType:
    """Stands for a storage class that a pickle names."""

    dtype: torch.dtype


@dataclass(frozen=True)
class Storages:
    """The members of one archive of `torch.save`, each read once and by its checksum."""

    archive: zipfile.ZipFile
    root: str
    _read: dict[str, Held] = field(default_factory=dict)

    @classmethod
    def of(cls, archive: zipfile.ZipFile) -> Storages:
        """Return the storages of an archive; raises `CheckpointError` where it is not one of `torch.save`."""
        names = archive.namelist()
        roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
        if len(roots) != 1 or any(name.endswith("/constants.pkl") for name in names):
            raise CheckpointError("expected one model or state dict, as torch.save writes it")
        if sum(item.file_size for item in archive.infolist()) > (archive.fp.seek(0, 2) if archive.fp else 0):
            raise CheckpointError("its members are larger than the file; expected the plain archive of torch.save")
        storages = cls(archive, roots[0])
        if f"{roots[0]}/byteorder" in names and storages.member("byteorder") != b"little":
            raise CheckpointError("is of a big-endian machine; expected little-endian data")
        return storages

    @property
    def program(self) -> bytes:
        """The pickle itself."""
        if (size := self.archive.getinfo(f"{self.root}/data.pkl").file_size) > _LARGEST_PROGRAM:
            raise CheckpointError(
                f"its pickle has {size} bytes; expected at most {_LARGEST_PROGRAM} beside the weights"
            )
        return self.member("data.pkl")

    def member(self, name: str) -> bytes:
        """Read a member; torch never compresses, so a compressed one could only be there to fill the memory."""
        name = f"{self.root}/{name}"
        if self.archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"{name[:80]} is compressed; expected the plain archive that torch.save writes")
        return self.archive.read(name)

    def find(self, pid: Any) -> Held:
        """Return the storage that a pickle refers to, as a flat tensor."""
        kind, storage_type, key, _, count = pid if isinstance(pid, tuple) and len(pid) == 5 else (None,) * 5
        if not (isinstance(kind, str) and kind == "storage" and isinstance(storage_type, StorageType)):
            raise CheckpointError("the pickle refers to data of an unknown kind; expected the storage of a tensor")
        if not isinstance(key, str) or not isinstance(count, int):
            raise CheckpointError("the pickle names a storage by something other than text; the file is damaged")
        if key not in self._read:
            data = bytearray(self.member(f"data/{key}"))
            dtype = storage_type.dtype
            if len(data) != count * dtype.itemsize:
                raise CheckpointError(f"storage {key[:20]} has {len(data)} bytes; expected {count * dtype.itemsize}")
            self._read[key] = Held(torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype))
        return self._read[key]

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Held:
        """Rebuild a tensor as a copy of its own; raises `CheckpointError` where it would lie outside its storage."""
        whole = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= 8
        if not isinstance(storage, Held) or not whole or not all(type(n) is int for n in (offset, *size, *stride)):
            raise CheckpointError("the pickle describes a tensor by something other than whole numbers")
        last = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
        held = storage.tensor
        outside = min((offset, *size, *stride)) < 0 or math.prod(size) > held.numel()
        if outside or (0 not in size and last >= held.numel()):
            raise CheckpointError("the pickle asks for a tensor outside its own data")
        return Held(torch.as_strided(held, size, stride, offset).clone())
