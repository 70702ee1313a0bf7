from __future__ import annotations

import subprocess
import sys

import pytest

SIZES = "dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=9)"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_importing_the_package_is_enough():
    code = f"""
import xlprobe
from transformers import AutoModelForSequenceClassification
from transformers.models.auto.configuration_auto import AutoConfig
config = AutoConfig.for_model("cross-query-bert", **{SIZES})
print(type(AutoModelForSequenceClassification.from_config(config)).__name__)
"""
    assert run(code) == "CrossQueryBertForSequenceClassification"


def test_install_imports_nothing_heavy():
    code = "import sys; from xlprobe.encoders.registration import install; install(); "
    assert run(code + "print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("pass", marks=pytest.mark.slow),
        pytest.param("from transformers import BertConfig", marks=pytest.mark.slow),
        pytest.param("import transformers; transformers.AutoModel", marks=pytest.mark.slow),
    ],
)
def test_auto_classes_know_the_models_in_every_order_of_imports(before):
    code = f"""
{before}
from xlprobe.encoders.registration import install
install()
install()
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM
config = AutoConfig.for_model("cross-query-xlm-roberta", **{SIZES})
print(type(AutoModelForMaskedLM.from_config(config)).__name__, type(AutoModel.from_config(config)).__name__)
print(type(AutoConfig.for_model("bert")).__name__)
"""
    assert run(code).split() == ["CrossQueryXLMRobertaForMaskedLM", "CrossQueryXLMRobertaModel", "BertConfig"]
