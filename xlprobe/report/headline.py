"""What the page opens with: the numbers of its first table, and the contrast that its sentences speak of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xlprobe.errors import ResultsError
from xlprobe.plots.reading import changed_by_the_border, floored, problems, theories
from xlprobe.plots.scope import checkpoints, contrasts, last_steps
from xlprobe.results import Results
from xlprobe.statistics import contrast_frame, summarise
from xlprobe.statistics.pairing import switched

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BLOCKS", "Measured", "as_table", "measured"]

BLOCKS = ("question->context", "context->context", "cls->context")
_SENTENCES = ("retrieval_", "neutrality_gap", "map_")
_KEYS = (
    "checkpoint", "dataset", "context_language", "question_language", "reference", "sample", "group", "metric", "block",
    "pooling", "condition", "seed", "step",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """The numbers of a table's summary, means over heads and layers; what was not measured is None.

    `accuracy`: per checkpoint and whether across languages. `stability`: above floor, per checkpoint, block and
    condition (observed, forced). `lift`: what a language border changes, per checkpoint. `retrieval`: per checkpoint,
    at the layer that is best on the other half of the items. `runs`: training runs per checkpoint. `pair`: the
    checkpoints that are contrasted (cross-query first), with the answers `solved` (accuracy in one language),
    `differs` (stability above floor, question to context), `routed` (the same under both queries), `crosses` (lift).
    """

    names: list[str]
    problems: int
    theories: int
    runs: dict[str, int]
    accuracy: pd.DataFrame | None
    stability: pd.DataFrame | None
    lift: pd.DataFrame | None
    retrieval: pd.DataFrame | None
    pair: tuple[str, str] | None
    solved: pd.Series | None
    differs: pd.Series | None
    routed: pd.Series | None
    crosses: pd.Series | None


def measured(results: Results) -> Measured:
    """Compute what the page opens with, from the last step of training where there are several."""
    results = last_steps(results)
    known = problems(results)
    asked = known[~known["metric"].str.startswith(_SENTENCES)]
    right = _means(results, "correct", condition="observed")
    stable, first = _stability(results)
    lift = _border(results)
    pair = next(iter(contrasts(results)), None)
    return Measured(
        names=checkpoints(results),
        problems=asked["sample"].nunique(),
        theories=asked["group"].nunique(),
        runs=_runs(results),
        accuracy=None if right is None else summarise(_across(right), ["checkpoint", "across"], weights="n"),
        stability=stable,
        lift=None if lift is None else summarise(lift, ["checkpoint"]),
        retrieval=_retrieval(results),
        pair=pair,
        solved=_contrast(right if right is None else _in_language(right), "correct", pair),
        differs=_contrast(first, "js_stability", pair),
        routed=_contrast(_forced(first, pair), "js_stability", pair),
        crosses=_contrast(lift, "mass_lift", pair),
    )


def as_table(numbers: Measured) -> pd.DataFrame:
    """Return all numbers of the opening in one table, one row per cell and per difference that a sentence speaks of.

    Columns: quantity, checkpoint, and those of `statistics.summarise` or `contrast_frame`; a difference has the other
    checkpoint in `other`, the difference itself in `mean`, and in `verdict` whether more or less may be claimed.
    """
    import pandas as pd

    from xlprobe.statistics import verdict

    cells = {
        "accuracy": numbers.accuracy, "stability above floor": numbers.stability, "change of lift": numbers.lift,
        "retrieval": numbers.retrieval,
    }  # fmt: skip
    tables = [rows.assign(quantity=name) for name, rows in cells.items() if rows is not None]
    answers = {
        "difference of stability above floor": numbers.differs,
        "difference of stability above floor, both queries": numbers.routed,
        "difference of change of lift": numbers.crosses,
    }
    for name, answer in answers.items():
        if answer is not None and numbers.pair is not None:
            row = pd.DataFrame([answer.drop(["mean_a", "mean_b"]).rename({"estimate": "mean"})]).infer_objects()
            about = {"quantity": name, "checkpoint": numbers.pair[0], "other": numbers.pair[1]}
            tables.append(row.assign(**about, verdict=verdict(answer)))
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"checkpoint": numbers.names})
    first = [name for name in ("quantity", "checkpoint", "other") if name in table]
    return table[[*first, *(name for name in table if name not in first)]]


def _means(results: Results, metric: str, **filters: Any) -> pd.DataFrame | None:
    """Return the rows of a metric with layers and heads averaged; None where there is no number."""
    rows = results.select(metric=metric, **filters)
    if len(rows) == 0:
        return None
    frame = rows.means(_KEYS).drop(columns=["n_nan"]).assign(layer=None, head=None, reason=None)
    return frame if frame["value"].notna().any() else None


def _runs(results: Results) -> dict[str, int]:
    runs = theories(results).groupby("checkpoint", observed=True)["seed"].nunique()
    return {str(name): max(1, int(count)) for name, count in runs.items()}


def _across(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(across=switched(frame))


def _in_language(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~switched(frame)]


def _stability(results: Results) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Return stability above floor: means per checkpoint, block and condition, and the rows of the first block."""
    import pandas as pd

    means: list[pd.DataFrame] = []
    for block in reversed(BLOCKS):  # so that the first, which most figures draw, is the one that stays read
        frame = floored(results, block, "token")
        if frame["value"].notna().any():
            means.insert(0, summarise(frame, ["checkpoint", "block", "condition"]))
    return pd.concat(means, ignore_index=True) if means else None, frame if len(frame) else None


def _border(results: Results) -> pd.DataFrame | None:
    """Return what a language border changes of the lift, by problem, layer and head."""
    try:
        changed = changed_by_the_border(results, "mass_lift", BLOCKS[0])
    except ResultsError:  # one language only, or not measured
        return None
    return changed if changed["value"].notna().any() else None


def _retrieval(results: Results) -> pd.DataFrame | None:
    """Return retrieval per checkpoint, means removed, at the layer that is best on the other half of the items."""
    rows = results.select(metric="retrieval_centred", block=["sentence", ""])
    if len(rows) == 0:
        return None
    frame = rows.means([*_KEYS, "layer"])
    order = {item: place for place, item in enumerate(sorted(frame["sample"].dropna().unique()))}
    frame["chosen_on"] = frame["sample"].map(order) % 2 == 0
    best = frame[frame["chosen_on"]].groupby(["checkpoint", "layer"])["value"].mean().dropna()
    if best.empty:
        return None
    layers = best.groupby("checkpoint").idxmax().map(lambda place: place[1])
    # Where every layer is undefined, one of them says so.
    layers = layers.reindex(frame["checkpoint"].unique()).fillna(frame["layer"].min())
    kept = frame[~frame["chosen_on"] & (frame["layer"] == frame["checkpoint"].map(layers))]
    return None if kept.empty else summarise(kept, ["checkpoint", "layer"], weights="n")


def _contrast(frame: pd.DataFrame | None, metric: str, pair: tuple[str, str] | None) -> pd.Series | None:
    if frame is None or pair is None or not set(pair) <= set(frame["checkpoint"]):
        return None
    try:
        answer = contrast_frame(frame, *pair, metric, by=())
    except ResultsError:  # measured on different problems
        return None
    return answer.iloc[0]


def _forced(stable: pd.DataFrame | None, pair: tuple[str, str] | None) -> pd.DataFrame | None:
    """Return the first checkpoint's forced rows in place of its observed ones; None where it has none."""
    if stable is None or pair is None:
        return None
    own = stable["checkpoint"] == pair[0]
    forced = stable[own & (stable["condition"] == "forced")].assign(condition="observed")
    if forced.empty:
        return None
    import pandas as pd

    return pd.concat([forced, stable[~own & (stable["condition"] == "observed")]], ignore_index=True)
