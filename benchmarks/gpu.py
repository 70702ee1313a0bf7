"""The same on a GPU: `python -m benchmarks.gpu [--batch 256] [--peak TFLOPS]`; writes results-gpu.json.

bf16: attention with two queries against plain attention, and a whole encoder (mBERT's sizes, random weights) forward
and in training steps, plain and cross-query, with torch.compile off and on. Shares of peak are against `--peak`, the
card's dense bf16 rate (989 TFLOP/s for an H100 or H200 SXM by its data sheet).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.attention import calls, inputs, plan_of
from xlprobe.cost import SHAPES, costs_of
from xlprobe.cost.timing import _batch, _plain_model
from xlprobe.encoders.convert import to_cross_query
from xlprobe.training.tuning import select


def milliseconds(call: Callable[[], Any], repeats: int = 9) -> float:
    """Return the median time of a call by the card's own clock."""
    for _ in range(3):
        call()
    found = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        found.append(start.elapsed_time(end))
    return median(found)


def attention_rows(batch: int) -> list[dict[str, Any]]:
    """Every form of the attention against the plain one."""
    rows = []
    for length in (128, 512):
        given = inputs(length, batch if length == 128 else max(1, batch // 4), "cuda", torch.bfloat16)
        for p_mask, kind in ((1.0, "disjoint"), (0.5, "drawn")):
            plan = plan_of(length, len(given[0]), p_mask, "cuda")
            for backward in (False, True):
                timed = {name: milliseconds(call) for name, call in calls(plan, given, backward).items()}
                first = timed.pop("plain attention")
                what = "forward and backward" if backward else "forward"
                rows += [
                    {"name": f"length {length}, {kind} masks, {what}: {name}", "value": t / first, "unit": "x"}
                    for name, t in timed.items()
                ]
    return rows


def encoder_rows(batch: int, length: int, peak: float) -> list[dict[str, Any]]:
    """Forward passes and training steps of an encoder."""
    rows = []
    shape = SHAPES["mbert"]
    data = _batch(shape, batch, length)
    for mechanism in ("plain", "cross-query"):
        model = _plain_model(shape)
        model = to_cross_query(model, num_labels=2, q_p_mask=0.7, cross_p_mask=0.7) if mechanism != "plain" else model
        model = model.to("cuda")
        given = {name: tensor.cuda() for name, tensor in data.model_inputs(mechanism != "plain").items()}
        labels = data.labels.cuda()
        select(model, "bitfit", ("embeddings",))
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
        costs = costs_of(shape, mechanism, batch=batch, length=length, bytes_per_value=2)  # type: ignore[arg-type]
        for compiled in (False, True):
            run = torch.compile(model) if compiled else model

            def forward(run: Any = run, model: Any = model, given: Any = given) -> None:
                model.eval()
                with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
                    run(**given)

            def step(
                run: Any = run, model: Any = model, given: Any = given, o: Any = optimizer, y: Any = labels
            ) -> None:
                model.train()
                o.zero_grad()
                with torch.autocast("cuda", torch.bfloat16):
                    loss = run(**given, labels=y).loss
                loss.backward()
                o.step()

            for call, what, operations in ((forward, "forward", costs.forward), (step, "BitFit step", costs.step)):
                time = milliseconds(call)
                name = f"{mechanism}, {what}, torch.compile {'on' if compiled else 'off'}"
                rows += [
                    {"name": name, "value": time, "unit": "ms"},
                    {"name": f"{name}: throughput", "value": 1e3 * batch / time, "unit": "samples/s"},
                    {"name": f"{name}: share of peak", "value": operations / time / 1e9 / peak, "unit": ""},
                ]
    return rows


def main() -> None:
    """Run on the first card; say so and stop where there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--peak", type=float, default=989.0, help="the card's dense bf16 rate in TFLOP/s")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU here; nothing was measured")
    rows = attention_rows(options.batch) + encoder_rows(options.batch, options.length, options.peak)
    for row in rows:
        print(f"{row['name']}: {row['value']:.3g} {row['unit']}")
    found = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}
    (options.out / "results-gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
