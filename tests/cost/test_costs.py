from __future__ import annotations

import json

import pytest
import torch
import transformers
from typer.testing import CliRunner

from xlprobe.cli import app
from xlprobe.cost import SHAPES, EncoderShape, costs_of, read_shape
from xlprobe.cost.tables import markdown_table
from xlprobe.cost.timing import fits, run_costs, runs_text
from xlprobe.encoders import cross_query
from xlprobe.errors import CheckpointError, DataError

SMALL = EncoderShape("small", 2, 32, 4, 64, 50, 40, 2)


def on_meta(shape, prefix="", **options):
    """A model of the same sizes without any memory for its weights."""
    kind = {"bert": "Bert", "xlm-roberta": "XLMRoberta", "xlm-roberta-xl": "XLMRobertaXL"}[shape.model_type]
    source = cross_query if prefix else transformers
    config = getattr(source, f"{prefix}{kind}Config")(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.token_types,
        **options,
    )
    with torch.device("meta"):
        return getattr(source, f"{prefix}{kind}Model")(config, add_pooling_layer=False)


def count(model, chosen=lambda name: True):
    return sum(parameter.numel() for name, parameter in model.named_parameters() if chosen(name))


@pytest.mark.parametrize("name", list(SHAPES))
def test_parameters_are_those_of_the_model(name):
    shape = SHAPES[name]
    model = on_meta(shape)
    assert count(model) == shape.parameters
    assert count(model, lambda n: n.startswith("embeddings.")) == shape.embedding_parameters - (
        2 * shape.width if shape.model_type == "xlm-roberta-xl" else 0
    )
    assert count(model, lambda n: n.endswith(".bias")) == shape.biases


@pytest.mark.parametrize("name", ["mbert", "xlm-r-base"])
@pytest.mark.parametrize(("pairs", "layers"), [(None, None), (["en-fr", "en-de", "fr-zh"], None), (None, [0, 5])])
def test_q_cross_adds_what_the_model_adds(name, pairs, layers):
    config = {**SHAPES[name].as_dict()}
    shape = EncoderShape(**{**config, "num_pairs": len(pairs or ()), "cross_layers": layers and len(layers)})
    model = on_meta(shape, "CrossQuery", pairs=pairs, cross_layers=layers)
    assert count(model, lambda n: "cross_lingual_quer" in n) == max(1, len(pairs or ())) * shape.query_parameters
    assert costs_of(shape, "cross-query").parameters == count(model)


def test_operations_are_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model = on_meta(SMALL).to_empty(device="cpu")
    ids = torch.ones(3, 16, dtype=torch.long)
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=ids, token_type_ids=ids, position_ids=torch.arange(16)[None])
    assert costs_of(SMALL, batch=3, length=16).forward == counter.get_total_flops()


def test_operations_with_a_second_query():
    plain, crossed = (costs_of(SMALL, mechanism, batch=3, length=16) for mechanism in ("plain", "cross-query"))
    assert crossed.forward - plain.forward == 2 * 48 * 2 * 32 * 32 + 4 * 48 * 16 * 32 * 2
    assert plain.forward < plain.step < plain.full_step < 3 * plain.forward + plain.forward
    # Explicit probabilities: one product with the values for both queries.
    assert crossed.capture == crossed.forward - 2 * 48 * 16 * 32 * 2
    assert plain.capture == plain.forward


def test_memory_grows_as_it_must():
    short, long = (costs_of(SHAPES["mbert"], "cross-query", length=length) for length in (128, 512))
    assert long.capture_bytes - long.forward_bytes == 16 * (short.capture_bytes - short.forward_bytes)
    assert short.forward_bytes < short.capture_bytes
    assert short.forward_bytes < short.step_bytes < short.full_step_bytes
    assert costs_of(SHAPES["mbert"], bytes_per_value=2).forward_bytes < 0.6 * costs_of(SHAPES["mbert"]).forward_bytes


@pytest.mark.parametrize("options", [{"batch": 0}, {"length": 0}, {"length": 41}])
def test_impossible_batches_are_refused(options):
    with pytest.raises(DataError, match="got "):
        costs_of(SMALL, **options)


def test_a_configuration_is_read_from_a_file_or_its_directory(tmp_path):
    config = cross_query.CrossQueryBertConfig(hidden_size=48, num_attention_heads=4, pairs=["en-fr", "de-en"])
    config.save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))
    assert (shape.width, shape.heads, shape.num_pairs, shape.model_type) == (48, 4, 2, "bert")
    assert read_shape(str(tmp_path / "config.json")).width == 48
    assert read_shape("bundled:encoder") == SHAPES["e5-small"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[1]", "holds a list"),
        (json.dumps({"hidden_size": 32}), "num_hidden_layers=None"),
        (
            json.dumps(
                {
                    "num_hidden_layers": 2,
                    "hidden_size": 30,
                    "num_attention_heads": 4,
                    "intermediate_size": 8,
                    "vocab_size": 9,
                    "max_position_embeddings": 9,
                    "type_vocab_size": 1,
                }
            ),
            "no multiple of the 4 heads",
        ),
    ],
)
def test_a_broken_configuration_is_named(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        read_shape(str(tmp_path))


@pytest.mark.parametrize("name", ["Llama", "GPT2", "Qwen3", "ModernBert", "DistilBert"])
def test_other_architectures_are_counted(tmp_path, name):
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 70, "pad_token_id": 0}
    sizes |= {"intermediate_size": 40, "num_key_value_heads": 2, "head_dim": 16} if name in ("Llama", "Qwen3") else {}
    config = getattr(transformers, f"{name}Config")(**sizes)
    config.save_pretrained(tmp_path)
    shape = read_shape(str(tmp_path))
    model = getattr(transformers, f"{name}Model")(config)
    assert shape.parameters == sum(one.numel() for one in model.parameters())
    assert (shape.layers, shape.width, shape.heads) == (3, 48, 4)
    if name == "Llama":
        assert shape.matrices == 3 * (48 * 64 + 2 * 48 * 32 + 64 * 48 + 3 * 48 * 40)
        assert shape.query_width == 64
    costs = costs_of(shape, batch=2, length=16)
    assert costs.forward == 2 * 32 * shape.matrices + 4 * 32 * 16 * shape.query_width * 3
    assert "no Q_cross" in str(fits(shape, 2, 16))


def test_a_configuration_of_no_known_model_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(CheckpointError, match="makes no model"):
        read_shape(str(tmp_path))


def test_a_missing_configuration_lists_the_names():
    with pytest.raises(CheckpointError, match="Expected one of e5-small, mbert"):
        read_shape("./nowhere")


def test_only_what_fits_is_run():
    assert fits(SMALL, 2, 16) is None
    assert "needs about" in fits(SHAPES["xlm-r-large"], 4, 128, available=2**33)
    assert "no Q_cross for 'xlm-roberta-xl'" in fits(SHAPES["xlm-r-xl"], 1, 8)


def test_small_encoders_are_run():
    runs = run_costs(SMALL, 2, 16, repeats=1)
    assert [run.mechanism for run in runs] == ["plain", "cross-query"]
    assert all(value > 0 for run in runs for value in (run.forward, run.step, run.capture))
    assert "step, BitFit" in runs_text(runs, 2, 16)


def test_the_command_shows_both_mechanisms():
    done = CliRunner().invoke(app, ["cost", "xlm-r-base", "--no-measure", "--length", "64"])
    assert done.exit_code == 0, done.output
    assert "Q_cross: 7,087,104 parameters if shared" in done.output
    assert "capture, GiB (estimate)" in done.output
    done = CliRunner().invoke(app, ["cost", "xlm-r-xl"])
    assert "not measured: there is no Q_cross" in done.output


def test_the_table_has_a_row_per_encoder():
    lines = markdown_table(SHAPES.values()).splitlines()
    assert len(lines) == 2 + len(SHAPES)
    assert len({line.count("|") for line in lines}) == 1
