"""`python -m benchmarks [NAME ...] [--quick] [--threads N] [--out DIRECTORY]`: writes RESULTS.md and results.json."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

NAMES = ("attention", "training", "capture", "peers", "scale", "memory", "tables", "starting", "generating")


def main() -> None:
    """Run the chosen benchmarks; those not chosen keep their last results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="smaller batches and fewer turns")
    parser.add_argument("--full", action="store_true", help="of tables: 100 million rows (minutes, and 1 GB of disk)")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch (default: all cores)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown benchmarks {sorted(unknown)}; expected some of {', '.join(NAMES)}")
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    file = options.out / "results.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {"sections": {}}
    for name in options.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        more = {"full": True} if options.full and name == "tables" else {}
        section = importlib.import_module(f"benchmarks.{name}").run(options.quick, **more)
        results["sections"][name] = {**section.as_dict(), "quick": options.quick, "machine": machine()}
        write(options.out, results)
        for row in section.rows:
            print(_line(vars(row)), flush=True)


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on and with."""
    import torch
    import transformers

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": load,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _line(row: dict[str, Any]) -> str:
    """Return one row as text."""
    spread = f" ({row['low']:.2f} to {row['high']:.2f})" if row["low"] is not None else ""
    target = "" if row["target"] is None else f", target {row['target']:g}: {_verdict(row)}"
    return f"{row['name']}: {row['value']:.2f} {row['unit']}{spread}{target} {row['note']}".rstrip()


def _verdict(row: dict[str, Any]) -> str:
    return "met" if row["value"] <= row["target"] else "**missed**"


def write(out: Path, results: dict[str, Any]) -> None:
    """Write the results as JSON and as Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    lines = ["# Benchmarks", "", "Made by `python -m benchmarks`. Ratios are medians of alternating runs side by side."]
    for name in NAMES:
        section = results["sections"].get(name)
        if section is None:
            lines += ["", f"## {name}", "", "Not run."]
            continue
        at = section["machine"]
        where = (
            f"{at['date']}, {at['processor']}, {at['cores']} cores, {at['threads']} threads of torch {at['torch']}"
            + (f", load {at['load']:.1f}" if at["load"] is not None else "")
            + (", quick" if section["quick"] else "")
        )
        lines += ["", f"## {section['title']}", "", section["text"], "", f"Measured: {where}.", ""]
        lines += ["| what | value | least to largest | against | target | | |", "|---|--:|---|---|--:|---|---|"]
        for row in section["rows"]:
            spread = "" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}"
            target, verdict = ("", "") if row["target"] is None else (f"{row['target']:g}", _verdict(row))
            lines.append(
                f"| {row['name']} | {row['value']:.2f} {row['unit']} | {spread} | {row['reference']} | {target} | "
                f"{verdict} | {row['note']} |"
            )
    lines += ["", "## GPU", "", gpu_text(out), ""]
    (out / "RESULTS.md").write_text("\n".join(lines), encoding="utf-8")


def gpu_text(out: Path) -> str:
    """Return the results of `benchmarks/gpu.py`, or that there are none."""
    file = out / "results-gpu.json"
    if not file.is_file():
        return (
            "Not run: no GPU was at hand. `python -m benchmarks.gpu` measures the same on a card (bf16, batch 256: "
            "throughput, share of peak, torch.compile on and off) and writes results-gpu.json."
        )
    found = json.loads(file.read_text())
    lines = [f"{found['device']}, torch {found['torch']}.", "", "| what | value |", "|---|--:|"]
    return "\n".join(lines + [f"| {row['name']} | {row['value']:.3g} {row['unit']} |" for row in found["rows"]])


if __name__ == "__main__":
    main()
