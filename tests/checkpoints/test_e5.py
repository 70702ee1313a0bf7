from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from xlprobe import load
from xlprobe.checkpoints import e5 as bundled
from xlprobe.errors import CheckpointError
from xlprobe.samples import Sample, batches


def test_the_tokenizer_gives_the_ids_of_xlm_r(bundled_encoder):
    # Reference ids: transformers' own integration test of xlm-roberta-base.
    encode = bundled_encoder.tokenizer
    assert encode("Hello World!")["input_ids"] == [0, 35378, 6661, 38, 2]
    text = "This is a test 😊\nI was born in 92000, and this is falsé.\n生活的真谛是"
    expected = [3293, 83, 10, 3034, 6, 82803, 87, 509, 103122, 23, 483, 13821, 4, 136, 903, 83, 84047, 446, 5, 6, 62668]
    assert encode(text, add_special_tokens=False)["input_ids"][:21] == expected
    assert encode("a", "b")["input_ids"] == [0, 10, 2, 2, 876, 2]
    assert encode.mask_token_id == 250001
    # Accents typed as combining characters, joiners and control characters are normalised as XLM-R does.
    assert encode("cafe\u0301")["input_ids"] == encode("café")["input_ids"]
    assert encode("a\u200cb\tc\x07")["input_ids"] == encode("a b c")["input_ids"]


def test_the_encoder_has_the_shape_its_file_says(bundled_encoder):
    config = bundled_encoder.model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (384, 12, 12)
    assert config.vocab_size == 250037
    assert bundled_encoder.head == "none"
    assert not bundled_encoder.is_cross_query
    assert all(torch.isfinite(parameter).all() for parameter in bundled_encoder.model.parameters())


def test_weights_are_decoded_as_nibbles_times_scale(tmp_path):
    nibbles = np.arange(32, dtype=np.uint8) % 16
    packed = (nibbles[:16] | (nibbles[16:] << 4)).astype(np.uint8)
    raw = np.frombuffer(np.float16(0.5).tobytes() + packed.tobytes(), dtype=np.uint8)
    decoded = bundled._decode(raw, 1, 32, tmp_path, "x")
    np.testing.assert_array_equal(decoded, (nibbles.astype(np.float32) - 8) * 0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"E5", "ends after 2 bytes"),
        (b"GGUF" + bytes(64), "begins with b'GGUF'"),
        (b"E5S1" + struct.pack("<I", 9) + bytes(64), "format version 9"),
        (b"E5S1" + struct.pack("<I7if2i", 1, 384, 12, 12, 1536, 250037, 512, 2, 1e-12, 32, 5), "ends after"),
    ],
)
def test_a_broken_file_is_named_with_what_was_expected(tmp_path, content, message):
    path = tmp_path / "e5.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        bundled.read_e5(path)


def test_a_saved_copy_loads_as_the_same_checkpoint(bundled_encoder, tmp_path):
    bundled_encoder.model.save_pretrained(tmp_path)
    bundled_encoder.tokenizer.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.hash == bundled_encoder.hash
    text = "生活 cafe\u0301 a\u200cb"
    assert again.tokenizer(text)["input_ids"] == bundled_encoder.tokenizer(text)["input_ids"]


@pytest.mark.slow
@pytest.mark.parametrize("language", ["fr", "de", "es", "ru", "ar", "fa", "zh"])
def test_translations_retrieve_each_other(bundled_encoder, shared_data, language):
    lines = (shared_data / "ntrex" / "ntrex.8way.tsv").read_text(encoding="utf-8").strip("\n").split("\n")
    header, *rows = (line.split("\t") for line in lines)
    vectors = {}
    for code in ("en", language):
        texts = [row[header.index(code)] for row in rows]
        samples = [Sample(str(n), str(n), "ntrex", code, code, (text,), None) for n, text in enumerate(texts)]
        found = np.zeros((len(samples), 384), dtype=np.float32)
        for batch in batches(samples, bundled_encoder.tokenizer, 64, prefix="query: "):
            with torch.inference_mode():
                hidden = bundled_encoder.model(**batch.model_inputs()).last_hidden_state
            mask = batch.attention_mask[..., None].float()
            for key, vector in zip(batch.keys, (hidden * mask).sum(1) / mask.sum(1), strict=True):
                found[int(key)] = vector.numpy()
        found -= found.mean(axis=0)
        vectors[code] = found / np.linalg.norm(found, axis=1, keepdims=True)
    top = (vectors["en"] @ vectors[language].T).argmax(axis=1)
    assert (top == np.arange(len(rows))).mean() >= (0.97 if language in ("fr", "de", "es") else 0.95)
