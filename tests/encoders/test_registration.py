from __future__ import annotations

import subprocess
import sys

import pytest

SIZES = "dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=9)"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_heavy():
    assert run("import sys, xlprobe; print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize(
    "imports",
    [
        "import transformers; import xlprobe",
        pytest.param("import xlprobe.encoders.cross_query", marks=pytest.mark.slow),
    ],
)
def test_auto_classes_know_the_models(imports):
    code = f"""
{imports}
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
config = AutoConfig.for_model("cross-query-xlm-roberta", **{SIZES})
for auto in (AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification):
    print(type(auto.from_config(config)).__name__)
print(type(AutoConfig.for_model("bert")).__name__)
"""
    head = "CrossQueryXLMRoberta"
    expected = [f"{head}Model", f"{head}ForMaskedLM", f"{head}ForSequenceClassification", "BertConfig"]
    assert run(code).split() == expected
