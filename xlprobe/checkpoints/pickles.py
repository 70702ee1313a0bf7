"""Reads a whole pickled PyTorch model without running any of its code.

A pickle is a program: unpickling imports what it names and calls it. Here every class that it names becomes an inert
stand-in that only remembers its state; tensors are rebuilt by our own functions; the standard library is refused.
"""

from __future__ import annotations

import math
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlprobe.errors import CheckpointError

__all__ = ["StandIn", "module_tensors", "read_pickled_module"]

_STORAGES = {
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
_HARMLESS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "dict"): dict,
    ("builtins", "list"): list,
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
}
_INERT = {("functools", "partial")}
"""Names of the standard library that some models carry along; a stand-in takes their place, as of foreign classes."""
_FOREIGN = frozenset(sys.stdlib_module_names) | {"__builtin__", "nt", "posix", "builtins"}
_FAILURES = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    RuntimeError,
    OverflowError,
    struct.error,
    zipfile.BadZipFile,
    NotImplementedError,
    OSError,
)


class StandIn:
    """Stands where an object of a pickled class would be: it has the object's attributes and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        """Make an object without running anything of the class that it stands for."""
        made = object.__new__(cls)
        made.__dict__["_arguments"] = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.__dict__.update({key: value for key, value in part.items() if isinstance(key, str)})

    def append(self, item: Any) -> None:
        """Take what a pickled list would get, and forget it."""

    def extend(self, items: Any) -> None:
        """Take what a pickled list would get, and forget it."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Refuse to be called."""
        raise CheckpointError("the pickle calls one of its own objects; a model's weights never need that")


class _StorageType:
    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Reader(pickle.Unpickler):
    """An unpickler that can build tensors, plain containers and stand-ins, and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"), encoding="utf-8")
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}
        self._classes: dict[tuple[str, str], Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function that the pickle names."""
        key = module, name
        if key not in self._classes:
            self._classes[key] = self._stand_for(module, name)
        return self._classes[key]

    def _stand_for(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return _HARMLESS[module, name]
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return self._rebuilder()
        if module == "torch._utils" and name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return lambda data, *rest: data
        # Not getattr: some of torch's names import modules when they are asked for.
        if module == "torch" and isinstance(torch.__dict__.get(name), torch.dtype):
            return torch.__dict__[name]
        top = module.split(".")[0]
        if top in _FOREIGN and top != "__main__" and (module, name) not in _INERT:
            raise CheckpointError(
                f"the pickle names {module}.{name}, which no model's weights need; it was refused and nothing of it "
                "was run. Do not open this file by other means"
            )
        return type(name.split(".")[-1], (StandIn,), {"__module__": module})

    def _rebuilder(self) -> Callable[..., Tensor]:
        def rebuild(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any) -> Tensor:
            last = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
            outside = min((offset, *size, *stride)) < 0 or math.prod(size) > storage.numel()
            if outside or (0 not in size and last >= storage.numel()):
                raise CheckpointError(f"the pickle asks for a tensor of shape {tuple(size)} outside its own data")
            return torch.as_strided(storage, tuple(size), tuple(stride), offset).clone()

        return rebuild

    def persistent_load(self, pid: Any) -> Tensor:
        """Return the storage that the pickle refers to, as a flat tensor."""
        kind, storage_type, key, _, count = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise CheckpointError(f"the pickle refers to {kind!r} data; expected the storage of a tensor")
        if key not in self._storages:
            data = bytearray(_stored(self._archive, f"{self._root}/data/{key}"))
            dtype = storage_type.dtype
            if len(data) != count * dtype.itemsize:
                raise CheckpointError(f"storage {key} has {len(data)} bytes; expected {count * dtype.itemsize}")
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self._storages[key]


def read_pickled_module(path: str | Path) -> StandIn:
    """Read a model saved whole with `torch.save(model, path)`; returns a stand-in that holds its structure.

    Raises `CheckpointError` if the file is no such archive, is cut short, or names anything that a model does not
    need. Nothing that the file names is imported or called.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            roots = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(roots) != 1 or any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise CheckpointError(f"{path}: expected one pickled model, as torch.save(model, path) writes it")
            order = f"{roots[0]}/byteorder"
            if order in archive.namelist() and archive.read(order) != b"little":
                raise CheckpointError(f"{path}: is of a big-endian machine; expected little-endian data")
            _stored(archive, f"{roots[0]}/data.pkl")
            module = _Reader(archive, roots[0]).load()
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except _FAILURES as error:
        raise CheckpointError(
            f"{path}: cannot be read as a model saved with torch.save ({type(error).__name__}: {error}); the file may "
            "be cut short, or be of PyTorch before 1.6"
        ) from error
    if not isinstance(module, StandIn) or not isinstance(module.__dict__.get("_modules"), dict):
        raise CheckpointError(
            f"{path}: holds a {type(module).__name__}; expected a whole model (query.pt is read apart)"
        )
    return module


def module_tensors(module: StandIn, prefix: str = "") -> dict[str, Tensor]:
    """Return the parameters and saved buffers of a pickled module by name, as its state dict would have."""
    found: dict[str, Tensor] = {}
    pending: list[tuple[str, Any, int]] = [(prefix, module, 0)]
    while pending:
        path, part, depth = pending.pop()
        if depth > 32 or not isinstance(part, StandIn):
            raise CheckpointError(f"the pickled model has no module at {path!r}; expected a transformers encoder")
        state = part.__dict__
        hidden = state.get("_non_persistent_buffers_set") or ()
        for kind in ("_parameters", "_buffers"):
            for name, tensor in (state.get(kind) or {}).items():
                if isinstance(tensor, Tensor) and not (kind == "_buffers" and name in hidden):
                    found[f"{path}{name}"] = tensor
        children = state.get("_modules") or {}
        pending += [(f"{path}{name}.", child, depth + 1) for name, child in children.items() if child is not None]
    return found


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a member; torch never compresses, so a compressed one could only be there to fill the memory."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise CheckpointError(f"{name} is compressed; expected the plain archive that torch.save writes")
    return archive.read(name)
