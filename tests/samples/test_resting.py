"""A tokenizer that rests gives the same tokens when it is used again, and is nobody's hindrance meanwhile."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
from by_path import ENVIRONMENT
from tokenizers import Tokenizer

from xlprobe.samples import resting

TEXT, ASKED = "anne is big . bob is kind .", "anne is kind ?"


@pytest.fixture(params=["bert", "xlm-roberta"])
def tokenizer(request, tiny, monkeypatch):
    monkeypatch.setattr(resting, "LARGE", 1)
    return copy.deepcopy(tiny.tokenizers[request.param]())


def rests(tokenizer):
    return type(tokenizer._tokenizer) is not Tokenizer


def test_it_tokenises_as_before_and_is_awake_then(tokenizer):
    before = tokenizer(TEXT, ASKED, padding="max_length", max_length=30)
    resting.rest(tokenizer)
    assert rests(tokenizer)
    assert tokenizer(TEXT, ASKED, padding="max_length", max_length=30) == before
    assert not rests(tokenizer)


def test_what_was_changed_before_is_as_it_was(tokenizer):
    tokenizer.add_tokens(["kindly"])
    before, size = tokenizer.encode("anne kindly"), len(tokenizer)
    tokenizer._tokenizer.encode_special_tokens = True
    resting.rest(tokenizer)
    assert tokenizer._tokenizer.encode_special_tokens is True
    resting.rest(tokenizer)
    assert (tokenizer.encode("anne kindly"), len(tokenizer)) == (before, size)


def test_what_is_set_while_it_rests_is_set(tokenizer):
    resting.rest(tokenizer)
    tokenizer._tokenizer.post_processor = None
    assert not rests(tokenizer)
    assert tokenizer.backend_tokenizer.encode("anne").ids == tokenizer.convert_tokens_to_ids(
        tokenizer.backend_tokenizer.encode("anne").tokens
    )
    assert len(tokenizer.backend_tokenizer.encode("anne").ids) == len(tokenizer.tokenize("anne"))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_of_a_resting_one_are_tokenizers(tokenizer, again):
    resting.rest(tokenizer)
    assert isinstance(tokenizer.backend_tokenizer, Tokenizer)
    other = again(tokenizer)
    assert other(TEXT, ASKED) == tokenizer(TEXT, ASKED)
    assert not rests(other)


def test_a_resting_one_is_saved_whole(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "awake")
    resting.rest(tokenizer)
    tokenizer.save_pretrained(tmp_path / "resting")
    for file in (tmp_path / "awake").iterdir():
        assert (tmp_path / "resting" / file.name).read_bytes() == file.read_bytes()


def test_small_vocabularies_and_what_is_no_tokenizer_do_not_rest(tokenizer, monkeypatch):
    resting.rest(object())
    monkeypatch.setattr(resting, "LARGE", tokenizer.vocab_size + 1)
    resting.rest(tokenizer)
    assert not rests(tokenizer)


MEMORY = """
from xlprobe import load
from xlprobe.memory import give_back_memory
from xlprobe.samples.resting import rest

def own():
    give_back_memory()
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous")) / 1024

checkpoint = load("bundled:encoder")
before = own()
rest(checkpoint.tokenizer)
print(before - own())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_the_bundled_tokenizer_gives_back_what_it_holds(bundled_encoder):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=120
    )
    assert float(done.stdout) > 150
