"""Fixtures for all tests: real data where it is at hand, tiny checkpoints and problems, the bundled encoder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side, a core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
WORDS = {
    "en": {"is": "is", "kind": "kind", "big": "big", "red": "red", "end": "."},
    "fr": {"is": "est", "kind": "gentil", "big": "grand", "red": "rouge", "end": "."},
    "zh": {"is": "是", "kind": "善良", "big": "大", "red": "红", "end": "。"},
}
NAMES = ("Anne", "Bob", "Erin")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real data sets: $XLPROBE_DATA, or shared/data beside the repository; else a skip."""
    for place in (os.environ.get("XLPROBE_DATA"), ROOT.parent / "shared" / "data"):
        if place and Path(place).is_dir():
            return Path(place)
    pytest.skip("the real data sets are not here; set XLPROBE_DATA to their directory")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """fsspec's store in memory, empty, with a cache of its own."""
    import fsspec

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("XLPROBE_CACHE", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser for the tests of a page."""
    from browser import start  # scripts of tests read this file without the tests' own modules at hand

    started = start(tmp_path_factory.mktemp("chrome"))
    yield started
    started.quit()


@pytest.fixture(scope="session")
def bundled_encoder() -> Any:
    """The bundled encoder, loaded once for all tests."""
    from xlprobe.checkpoints.e5 import bundled_file
    from xlprobe.checkpoints.loading import load
    from xlprobe.errors import CheckpointError

    try:
        bundled_file()
    except CheckpointError as error:
        pytest.skip(str(error))
    return load("bundled:encoder")


def make_problems(theories: int = 4, questions: int = 2, languages: tuple[str, ...] = ("en", "fr", "zh")) -> list[Any]:
    """Parallel problems of two to four facts; every theory has facts of its own."""
    from xlprobe.samples import ParallelSample

    facts = [(name, trait) for name in NAMES for trait in ("kind", "big", "red")]
    found = []
    for theory in range(theories):
        picked = [facts[(theory * 2 + step * (1 + theory % 2)) % len(facts)] for step in range(2 + theory % 3)]
        for question in range(questions):
            asked = facts[(theory + 3 * question) % len(facts)]

            def say(fact: tuple[str, str], code: str) -> str:
                words = WORDS[code]
                parts = (fact[0], words["is"], words[fact[1]])
                return ("" if code == "zh" else " ").join(parts) + words["end"]

            found.append(
                ParallelSample(
                    key=f"t{theory}-q{question}",
                    group=f"t{theory}",
                    dataset="tiny",
                    context={code: tuple(say(fact, code) for fact in picked) for code in languages},
                    question={code: say(asked, code) for code in languages},
                    label=int(asked in picked),
                    depth=0,
                )
            )
    return found


def xlmr_tokenizer() -> Any:
    """A small tokenizer of XLM-R's kind."""
    from xlprobe.checkpoints.e5_tokenizer import E5Vocabulary, build_tokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", ".", "。", "是"]
    pieces += [word for words in WORDS.values() for word in words.values()]
    pieces += [f"▁{word}" for words in WORDS.values() for word in words.values()] + [f"▁{name}" for name in NAMES]
    pieces += [*NAMES, *"abcdefghijklmnopqrstuvwxyz"]
    vocabulary = [(piece, -float(len(piece) < 2) * 5 - 1.0) for piece in dict.fromkeys(pieces)] + [("<mask>", 0.0)]
    return build_tokenizer(E5Vocabulary(vocabulary, {}, (0, 2, 1, 3)), 128)


def bert_tokenizer() -> Any:
    """A small tokenizer of mBERT's kind."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "。", "是", "善", "良", "大", "红"]
    words += [word for code in ("en", "fr") for word in WORDS[code].values()] + list(NAMES)
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def make_checkpoint(family: str = "bert", head: str = "Model", seed: int = 0, cross_query: bool = False) -> Any:
    """A tiny random checkpoint with the tokenizer of its family."""
    import torch
    import transformers

    from xlprobe.checkpoints.checkpoint import Checkpoint

    tokenizer = bert_tokenizer() if family == "bert" else xlmr_tokenizer()
    torch.manual_seed(seed)
    if cross_query:
        import xlprobe.encoders.cross_query as classes

        name = {"bert": "CrossQueryBert", "xlm-roberta": "CrossQueryXLMRoberta"}[family]
    else:
        classes = transformers
        name = {"bert": "Bert", "xlm-roberta": "XLMRoberta"}[family]
    model_class = getattr(classes, name + head)
    config = model_class.config_class(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=130,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.4,
    )
    model = model_class(config).eval()
    return Checkpoint(f"tiny-{family}-{seed}" + ("-cross" if cross_query else ""), "tiny", model, tokenizer)


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """Makers of tiny problems, tokenizers and checkpoints."""
    return SimpleNamespace(
        problems=make_problems,
        checkpoint=make_checkpoint,
        tokenizers={"bert": bert_tokenizer, "xlm-roberta": xlmr_tokenizer},
        plain_class=plain_class,
        cross_class=cross_class,
        make_plain=make_plain,
        without_languages=without_languages,
    )


@pytest.fixture(scope="session")
def tiny_checkpoints() -> Any:
    """The maker of tiny random checkpoints: (family, head, seed, cross_query) -> Checkpoint."""
    return make_checkpoint


SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 60,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}
FAMILIES = ("bert", "xlm-roberta")
HEADS = ("Model", "ForSequenceClassification", "ForMaskedLM")


def plain_class(family: str, head: str) -> Any:
    import transformers

    return getattr(transformers, {"bert": "Bert", "xlm-roberta": "XLMRoberta"}[family] + head)


def cross_class(family: str, head: str) -> Any:
    from xlprobe import encoders

    return getattr(encoders, "CrossQuery" + {"bert": "Bert", "xlm-roberta": "XLMRoberta"}[family] + head)


def make_plain(family: str, head: str, **options: Any) -> Any:
    torch.manual_seed(0)
    cls = plain_class(family, head)
    return cls(cls.config_class(**{**SIZES, "pad_token_id": 1, **options})).eval()


@pytest.fixture(scope="session")
def plain_directories(tmp_path_factory) -> dict[tuple[str, str], Path]:
    """One saved plain checkpoint for each family and head."""
    base = tmp_path_factory.mktemp("plain")
    found = {}
    for family in FAMILIES:
        for head in HEADS:
            path = base / family / head
            make_plain(family, head).save_pretrained(path)
            found[family, head] = path
    return found


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    """Four samples: two code-switched (one padded), two in-language (one padded)."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, 60, (4, 11), generator=generator)
    mask = torch.ones(4, 11, dtype=torch.long)
    mask[1, 7:] = 0
    mask[3, 9:] = 0
    languages = torch.full((4, 11), 149)
    languages[0, 6:] = 180
    languages[1, 4:] = 180
    languages[2] = 180
    return {
        "input_ids": ids.masked_fill(mask == 0, 1),
        "attention_mask": mask,
        "language_ids": languages * mask,
    }


def without_languages(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in inputs.items() if key != "language_ids"}
