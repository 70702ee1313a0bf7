"""Recipes: what to train, on what, and how, as a TOML file that a command reproduces."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from xlprobe.checkpoints.rounding import BITS
from xlprobe.errors import DataError, TrainingError
from xlprobe.training.method import Method
from xlprobe.training.settings import MOST, TrainSettings

__all__ = ["Recipe", "StageRecipe", "read_recipe"]

T = TypeVar("T")
ROUTINES = ("finetune", "pretrain", "ablate")
_TABLES = ("settings", "head", "encoding")

STORES = ("float32", *(f"{bits}-bit" for bits in BITS))
"""How trained weights can be kept: see `xlprobe.checkpoints.rounding`."""


@dataclass(frozen=True)
class StageRecipe:
    """Data of one part of a run: a `source` (see `xlprobe.training.sources`), its options, and for how many steps."""

    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None


@dataclass(frozen=True)
class Recipe:
    """A whole run. `stages` is the data in order (one stage without steps: the settings say how long).

    `structured_dropout` closes a baseline's cross-language pairs with that probability in training (a cross-query model
    has `p_mask` and `cross_p_mask` for it). `store` is how the result is kept: "float32", or "2-bit" to "8-bit".
    `encoding` says how texts are read (`layout`, `token_types`, `prefix`) where that is not as the base says; what is
    trained keeps it. `evaluation` is what the study and the ablation are measured on; nothing is chosen by it.
    """

    routine: str
    base: str
    settings: TrainSettings
    stages: tuple[StageRecipe, ...]
    name: str = ""
    mechanism: str = "baseline"
    tuning: str = "bitfit"
    mix: Mapping[str, float] = field(default_factory=lambda: {"en-en": 1.0})
    p_mask: float = 0.7
    cross_p_mask: float = 0.7
    query: str | None = None
    specific: bool = False
    pairs: tuple[str, ...] = ()
    order: str = "x-x"
    trim: bool = True
    freeze: tuple[str, ...] = ("embeddings",)
    head: Mapping[str, Any] = field(default_factory=dict)
    encoding: Mapping[str, str] = field(default_factory=dict)
    validation: StageRecipe | None = None
    evaluation: StageRecipe | None = None
    structured_dropout: float = 0.0
    store: str = "float32"

    def __post_init__(self) -> None:
        if self.routine != "pretrain":
            _ = self.method
        if not all(0 <= share < math.inf for share in self.mix.values()):
            raise TrainingError(f"got mix={dict(self.mix)!s:.200}; expected shares from 0")

    @property
    def method(self) -> Method:
        """What the fine-tuning does; raises `TrainingError` where its entries contradict each other."""
        entries = {entry.name: getattr(self, entry.name) for entry in fields(Method) if hasattr(self, entry.name)}
        return Method(**entries)


def read_recipe(path: Path | str, **overrides: Any) -> Recipe:
    """Read a recipe; `overrides` replace top-level entries, and those of `[settings]` where the name is a setting.

    A recipe may begin with `extends = "other.toml"`, a file beside it: it then has that one's entries but for its own;
    of `[settings]`, `[head]` and `[encoding]`, entry by entry. With `replace_languages = {fr = "zh"}` it trains on
    Chinese wherever that one trains on French: in its `mix`, its `pairs` and its stages. Raises `TrainingError` for a
    file that is no TOML, for recipes that extend each other in a circle, for a language that is to be replaced and is
    not there, and for an entry that no recipe has.
    """
    raw = _read(Path(path))
    return make_recipe(raw, str(path), **overrides)


def _read(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise TrainingError(f"cannot read the recipe {str(path)!r:.200}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        # Not UTF-8, not TOML, or a path with a null byte.
        raise TrainingError(f"the recipe {str(path)!r:.200} is not TOML in UTF-8: {error!s:.200}") from error
    for name in _TABLES:
        if not isinstance(raw.get(name, {}), dict):
            raise TrainingError(f"{path}: {name} is {raw[name]!r:.60}; expected a table [{name}]")
    parent, replaced = raw.pop("extends", None), raw.pop("replace_languages", {})
    if not isinstance(replaced, dict) or not all(isinstance(code, str) for code in replaced.values()):
        raise TrainingError(f'{path}: replace_languages is {replaced!r:.60}; expected codes, such as {{fr = "zh"}}')
    if parent is None:
        if replaced:
            raise TrainingError(f"{path} replaces languages, but extends no recipe that could have them")
        return raw
    if not isinstance(parent, str):
        raise TrainingError(f"{path}: extends is {parent!r:.60}; expected the name of a recipe beside it")
    # The same file may have several names: "a.toml", "./a.toml".
    if path.resolve() in below:
        raise TrainingError(f"{path} extends itself, by way of {', '.join(map(str, below))}; expected an end to it")
    base = _with_languages(_read(path.parent / parent, (*below, path.resolve())), replaced, path)
    tables = [name for name in _TABLES if name in base]
    return {**base, **raw, **{name: {**base[name], **raw.get(name, {})} for name in tables}}


def _with_languages(entries: dict[str, Any], replaced: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Return the entries with other languages to train on; those of validation and evaluation stay."""
    if not replaced:
        return entries
    seen: set[str] = set()

    def other(pair: str) -> str:
        seen.update(pair.split("-"))
        return "-".join(replaced.get(code, code) for code in pair.split("-"))

    def within(value: Any, named: bool = False) -> Any:
        if isinstance(value, dict):
            return {key: within(one, named=key == "languages") for key, one in value.items()}
        if isinstance(value, list):
            return [within(one, named) for one in value]
        return other(value) if named and isinstance(value, str) else value

    new = {"stages": within(entries.get("stages")), "pairs": within(entries.get("pairs"), named=True)}
    if isinstance(mix := entries.get("mix"), dict):
        new["mix"] = {other(pair): share for pair, share in mix.items()}
    after = [replaced.get(code, code) for code in seen]
    if not set(replaced) <= seen or len(set(after)) != len(after):
        raise TrainingError(
            f"{path} replaces languages as {dict(replaced)!s:.80} in a recipe that trains on "
            f"{' '.join(sorted(seen)) or 'none that it names'}; expected some of these, each by another than the rest"
        )
    return {**entries, **{name: value for name, value in new.items() if name in entries}}


def make_recipe(raw: Mapping[str, Any], source: str = "the recipe", **overrides: Any) -> Recipe:
    """Return the recipe of a table such as TOML gives; see `read_recipe`."""
    entries = dict(raw)
    settings = dict(entries.pop("settings", {}))
    names = {entry.name for entry in fields(TrainSettings)}
    for key, value in overrides.items():
        if value is None:
            continue
        if key in names:
            settings[key] = value
            if key in ("steps", "epochs"):
                settings.pop("epochs" if key == "steps" else "steps", None)
        else:
            entries[key] = value
    given = entries.pop("stages", ())
    if not isinstance(given, (list, tuple)):
        raise TrainingError(f"{source}: stages is {given!r:.60}; expected tables [[stages]]")
    stages = tuple(_stage(stage, source) for stage in given)
    if (wanted := entries.pop("scale_to", None)) is not None:
        stages = _scaled(stages, int(wanted))
        settings = {name: value for name, value in settings.items() if name not in ("steps", "epochs")}
        settings["steps"] = sum(stage.steps or 0 for stage in stages) or int(wanted)
    for name in ("validation", "evaluation"):
        if name in entries:
            entries[name] = _stage(entries[name], source)
    steps = [stage.steps for stage in stages]
    if "steps" not in settings and "epochs" not in settings and stages and None not in steps:
        settings["steps"] = sum(step or 0 for step in steps)
    if any(step is not None and not 1 <= step <= MOST["steps"] for step in steps):
        raise TrainingError(f"{source}: got stages of {steps!s:.80} steps; expected 1 to {MOST['steps']:,} each")
    known = {entry.name for entry in fields(Recipe)}
    _only(entries, known, source)
    _only(settings, names, f"[settings] of {source}")
    if entries.get("routine") not in ROUTINES:
        raise TrainingError(
            f"{source}: routine is {entries.get('routine')!r:.60}; expected one of {', '.join(ROUTINES)}"
        )
    if "base" not in entries or not stages:
        raise TrainingError(f"{source}: expected a base checkpoint and at least one [[stages]] of data")
    if entries.get("store", "float32") not in STORES:
        raise TrainingError(f"{source}: store is {entries['store']!r:.60}; expected one of {', '.join(STORES)}")
    checked = _typed(TrainSettings, settings, f"[settings] of {source}")
    return _typed(Recipe, {**entries, "settings": checked, "stages": stages}, source)


def _stage(raw: Any, source: str) -> StageRecipe:
    if not isinstance(raw, Mapping) or "source" not in raw:
        raise DataError(f"{source}: a stage names no source; expected one, such as source = 'generated'")
    options = {key: value for key, value in raw.items() if key not in ("source", "steps")}
    return _typed(StageRecipe, {"source": raw["source"], "options": options, "steps": raw.get("steps")}, source)


def _typed(kind: type[T], values: Mapping[str, Any], source: str) -> T:
    """Make a dataclass of values that have its fields' types; TOML has lists where it has tuples."""
    checked, adapters = {}, _adapters(kind)
    for name, value in values.items():
        given = tuple(value) if isinstance(value, list) else value
        try:
            checked[name] = adapters[name].validate_python(given, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, (name, *first["loc"])))
            raise TrainingError(f"{source}: {place} is {first['input']!r:.60}; {first['msg'].lower()}") from error
    return kind(**checked)


def _adapters(kind: type) -> dict[str, TypeAdapter[Any]]:
    return {name: TypeAdapter(hint) for name, hint in get_type_hints(kind).items()}


def _scaled(stages: tuple[StageRecipe, ...], wanted: int) -> tuple[StageRecipe, ...]:
    """Return the stages with their steps in the same proportions, so many in all."""
    total = sum(stage.steps or 0 for stage in stages)
    if total <= 0:
        return stages
    return tuple(replace(stage, steps=max(1, round((stage.steps or 0) * wanted / total))) for stage in stages)


def _only(entries: Mapping[str, Any], known: set[str], source: str) -> None:
    if unknown := sorted(set(entries) - known):
        raise TrainingError(f"{source}: unknown entries {unknown}; expected some of {', '.join(sorted(known))}")
