"""Where a recipe's samples come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xlprobe.errors import DataError
from xlprobe.options import seeds
from xlprobe.samples import ParallelSample
from xlprobe.training.stream import uniform

__all__ = ["MIXED", "SOURCES", "samples_of"]


def _generated(**options: Any) -> list[ParallelSample]:
    from xlprobe.samples import generate

    if isinstance(depth := options.get("depth"), Mapping):  # TOML's keys are text
        options["depth"] = {int(key): weight for key, weight in depth.items()}
    return list(generate(**options))


def _file(
    *,
    path: str,
    format: str | None = None,
    share: tuple[float, float] = (0.0, 1.0),
    first: int = 0,
    limit: int | None = None,
    **options: Any,
) -> list[ParallelSample]:
    from xlprobe.samples.readers import read

    problems = [s for s in read(path, format=format, **options) if share[0] <= uniform("share", _theory(s)) < share[1]]
    return problems[first:][:limit]


def _theory(sample: ParallelSample) -> str:
    """Return what a theory says, whatever its name, the order of its sentences and the file that it is in."""
    sentences = sample.context.get("en") or sample.context[sample.languages[0]]
    return "\n".join(sorted(sentences))


def _token_tagged(*, path: str, **options: Any) -> list[Any]:
    from xlprobe.samples.readers import read_token_tagged

    return list(read_token_tagged(path, **options))


SOURCES: dict[str, Callable[..., list[Any]]] = {
    "generated": _generated,
    "file": _file,
    "token-tagged": _token_tagged,
}
"""`generated`: the rulebase generator, with its options. `file`: any format that `xlprobe.samples.readers` knows
(`path`, `format`, `languages`; `share` such as [0, 0.8] takes a part of the theories, each wholly in or out; `first`
and `limit` take a part of the rest). `token-tagged`: text that switches within."""
MIXED = "mixed"
"""The source of several `parts`, each with a source and options of its own: all their samples together."""


def samples_of(source: str, options: Mapping[str, Any], data: Path | None = None) -> list[Any]:
    """Return a source's samples; a relative `path` is looked up below `data`.

    Raises `DataError` for an unknown source or option, and where nothing is left.
    """
    if source == MIXED:
        return _mixed(options, data)
    if source not in SOURCES:
        raise DataError(f"got the source {source!r}; expected one of {', '.join((*SOURCES, MIXED))}")
    given = dict(options)
    if not isinstance(given.get("path", ""), str):
        raise DataError(f"the source {source!r} got the path {given['path']!r:.60}; expected a text")
    if "path" in given and data is not None and not Path(given["path"]).is_absolute():
        given["path"] = str(data / given["path"])
    for key, value in given.items():
        if isinstance(value, list):
            given[key] = tuple(value)
    try:
        samples = SOURCES[source](**given)
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        # Options come from a recipe, as anything that TOML can say.
        what = f"{type(error).__name__}: {error!s:.200}"
        raise DataError(f"the source {source!r} does not take these options ({sorted(given)}): {what}") from error
    if not samples:
        raise DataError(f"the source {source!r} gave no samples with {given!s:.200}; expected at least one")
    return samples


def _mixed(options: Mapping[str, Any], data: Path | None) -> list[Any]:
    parts = options.get("parts")
    if set(options) != {"parts"} or not parts or not all(isinstance(p, Mapping) and "source" in p for p in parts):
        raise DataError(f"the source {MIXED!r} takes a list `parts`, each with its source and that one's options")
    return [
        sample
        for part in parts
        for sample in samples_of(part["source"], {k: v for k, v in part.items() if k != "source"}, data)
    ]


def evaluation_problems(
    samples: str, languages: str, limit: int | None = None, depths: str | None = None, seed: int = 0
) -> list[ParallelSample]:
    """Return the problems of a command line: "generated", or `PATH[:FORMAT]`; labelled ones of the given depths."""
    codes = tuple(languages.replace(",", " ").split())
    if samples == "generated":
        from xlprobe.samples import SHORT

        problems = samples_of(
            "generated", {"theories": limit or 200, "languages": codes, "seed": seed, "split": "test", **SHORT}
        )
    else:
        from xlprobe.samples.readers import parse_spec

        path, form = parse_spec(samples)
        problems = samples_of("file", {"path": str(path), "format": form, "languages": codes})
    if depths is not None:
        wanted = set(seeds("--depths", depths, 1000))
        problems = [sample for sample in problems if sample.depth in wanted]
        if not problems:
            raise DataError(f"no problem has a depth of {depths}; leave --depths away to take all")
    return problems[:limit]
