"""The documentation's table of metrics is what the declarations say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_documented_table_is_the_declared_one():
    command = [sys.executable, "-m", "xlprobe", "metrics", "--markdown"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert table.count("\n") > 40
    assert table in PAGE.read_text(), "put what `xlprobe metrics --markdown` prints into docs/metrics.md"
