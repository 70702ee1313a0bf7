"""Reads what `torch.save` wrote, a whole model or a state dict, without running any code of it.

A pickle is a program: unpickling imports what it names and calls it. Here a small machine runs the few instructions
that weights need. Every class that the pickle names becomes an inert stand-in that only remembers its state; tensors
are rebuilt by our own functions, and nothing can change them afterwards; the standard library is refused.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlprobe.checkpoints.storages import STORAGES, Held, Storages, StorageType
from xlprobe.errors import CheckpointError

__all__ = ["StandIn", "module_tensors", "read_pickle"]

_CONTAINERS = {
    (module, name)
    for module in ("builtins", "__builtin__")
    for name in ("set", "frozenset", "list", "tuple", "dict")
}  # fmt: skip
_INERT = {("functools", "partial")}
"""Names of the standard library that some models carry along; a stand-in takes their place, as of foreign classes."""
_FOREIGN = frozenset(sys.stdlib_module_names) | {"__builtin__", "nt", "posix", "builtins"}
_LONGEST_NAME = 300


class StandIn:
    """Stands where an object of a pickled class would be: it has the object's attributes and does nothing."""

    def take(self, state: Any) -> None:
        """Take the attributes of a pickled object's state."""
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update({key: value for key, value in part.items() if isinstance(key, str)})

    def append(self, item: Any) -> None:
        """Take what a pickled list would get, and forget it."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class _Named(dict[Any, Any]):
    """A dictionary whose keys are names or numbers: hashing anything else could take for ever."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, (str, int)):
            raise CheckpointError(
                f"the pickle has a key of the type {_short(type(key).__name__)}; expected names, as weights have"
            )
        super().__setitem__(key, value)


# The one in Python: its instructions can be chosen one by one.
_Unpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Machine(_Unpickler):  # type: ignore[misc]
    """Runs a pickle's instructions; builds tensors, plain containers and stand-ins, and nothing else."""

    def __init__(self, program: bytes, storages: Storages) -> None:
        super().__init__(io.BytesIO(program), encoding="utf-8")
        self._storages = storages
        self._known: dict[tuple[str, str], Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function that the pickle names."""
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > _LONGEST_NAME:
            raise CheckpointError("the pickle names a class by something that is no short text; the file is damaged")
        if (module, name) not in self._known:
            self._known[module, name] = self._stand_for(module, name)
        return self._known[module, name]

    def _stand_for(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Named
        if (module, name) in _CONTAINERS:
            return _Function(lambda *given: ())
        if module in ("torch", "torch.storage") and name in STORAGES:
            return StorageType(STORAGES[name])
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return _Function(self._storages.tensor)
        if module == "torch._utils" and name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return _Function(lambda data, *rest: data)
        # Not getattr: some of torch's names import modules when they are asked for.
        if module == "torch" and isinstance(torch.__dict__.get(name), torch.dtype):
            return torch.__dict__[name]
        top = module.split(".")[0]
        if top in _FOREIGN and top != "__main__" and (module, name) not in _INERT:
            raise CheckpointError(
                f"the pickle names {module}.{name}, which no model's weights need; it was refused and nothing of it "
                "was run. Do not open this file by other means"
            )
        return type(name.split(".")[-1] or "_", (StandIn,), {"__module__": module})

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that the pickle refers to."""
        return self._storages.find(pid)

    def load_empty_dictionary(self) -> None:
        self.append(_Named())

    def load_empty_set(self) -> None:
        self.append(StandIn())

    def load_additems(self) -> None:
        self.pop_mark()

    def load_frozenset(self) -> None:
        self.pop_mark()
        self.append(())

    def load_reduce(self) -> None:
        given, function = self.stack.pop(), self.stack[-1]
        self.stack[-1] = _made(function, given)

    def load_newobj(self) -> None:
        given, kind = self.stack.pop(), self.stack.pop()
        self.append(_made(kind, given))

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_newobj()

    def load_build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, StandIn):
            made.take(state)
        elif not isinstance(made, _Named):  # an ordered dictionary's own attributes are of no interest
            raise CheckpointError(
                f"the pickle changes a {_short(type(made).__name__)} after it was made; no model's weights need "
                "that. It was refused and nothing of it was run"
            )

    def load_appends(self) -> None:
        items = self.pop_mark()
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def load_unknown(self) -> None:
        raise CheckpointError("the pickle has an instruction that no model's weights need; it was refused")


_KEPT = [
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1",
    "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "EMPTY_LIST", "APPEND", "SETITEM", "SETITEMS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINGET",
    "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GLOBAL", "STACK_GLOBAL", "BINPERSID",
]  # fmt: skip
_OWN = {
    "EMPTY_DICT": _Machine.load_empty_dictionary, "EMPTY_SET": _Machine.load_empty_set,
    "ADDITEMS": _Machine.load_additems, "FROZENSET": _Machine.load_frozenset, "REDUCE": _Machine.load_reduce,
    "NEWOBJ": _Machine.load_newobj, "NEWOBJ_EX": _Machine.load_newobj_ex, "BUILD": _Machine.load_build,
    "APPENDS": _Machine.load_appends,
}  # fmt: skip
_Machine.dispatch = dict.fromkeys(range(256), _Machine.load_unknown)
for _name in _KEPT:
    _Machine.dispatch[getattr(pickle, _name)[0]] = _Unpickler.dispatch[getattr(pickle, _name)[0]]
for _name, _method in _OWN.items():
    _Machine.dispatch[getattr(pickle, _name)[0]] = _method


class _Function:
    """One of our functions, in the place of one that the pickle names."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


def _made(kind: Any, given: Any) -> Any:
    """Return what comes of calling a class or function that the pickle names."""
    if isinstance(kind, _Function) and isinstance(given, tuple):
        return kind.call(*given)
    if isinstance(kind, type) and issubclass(kind, (StandIn, _Named)):
        return kind()
    raise CheckpointError("the pickle calls one of its own objects; a model's weights never need that")


def read_pickle(path: str | Path) -> Any:
    """Read a file of `torch.save`: a model (as `StandIn`), or a dictionary of tensors (as `Held`) by name.

    Raises `CheckpointError` if the file is no such archive, is cut short or changed, or names anything that weights do
    not need. Nothing that the file names is imported or called.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            storages = Storages.of(archive)
            return _Machine(storages.program, storages).load()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except Exception as error:  # a damaged pickle makes the machine raise nearly anything
        raise CheckpointError(
            f"{path}: cannot be read as a file of torch.save ({type(error).__name__}: {_short(str(error))}); it may be "
            "cut short or damaged, or be of PyTorch before 1.6. Get it again, or open and save it with a newer PyTorch"
        ) from error


def module_tensors(module: StandIn) -> dict[str, Tensor]:
    """Return the parameters and saved buffers of a pickled module by name, as its state dict would have."""
    tensors: dict[str, Tensor] = {}
    pending: list[tuple[str, Any, int]] = [("", module, 0)]
    while pending:
        path, part, depth = pending.pop()
        if depth > 32 or not isinstance(part, StandIn):
            raise CheckpointError(f"the pickled model has no module at {path[:80]!r}; expected a transformers encoder")
        for kind in ("_parameters", "_buffers"):
            for name, tensor in _named(part, kind).items():
                if isinstance(tensor, Held) and not (kind == "_buffers" and name in _NOT_SAVED):
                    tensors[f"{path}{name}"] = tensor.tensor
        children = _named(part, "_modules")
        pending += [(f"{path}{name}.", child, depth + 1) for name, child in children.items() if child is not None]
    return tensors


_NOT_SAVED = ("position_ids", "token_type_ids")
"""Buffers that transformers counts off again: the numbers 0, 1, 2, ..."""


def _named(part: StandIn, kind: str) -> dict[str, Any]:
    entries = part.__dict__.get(kind)
    return {str(name)[:_LONGEST_NAME]: value for name, value in entries.items()} if isinstance(entries, dict) else {}


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
