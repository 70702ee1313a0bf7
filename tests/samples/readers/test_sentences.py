from __future__ import annotations

import time

import pytest

from xlprobe.languages import joined
from xlprobe.samples.readers.sentences import sentences


@pytest.mark.parametrize(
    "units",
    [
        # Every script's marks.
        ("Anne is kind.", "Bob is 1.5 m.", "Is he?"),
        ("no stop",),
        ("anne is kind.", "bob is big."),
        ("آیا آن مهربان است؟", "باب بزرگ است."),
        ("کیا وہ بڑا ہے؟", "ہاں۔", "وہ بڑا ہے۔"),
        ("संकेत बड़ा है।", "राम छोटा है।"),
        ("Sí.", "¿Es grande?", "¡Sí!"),
        # Quotations.
        ('She said "Anne is kind."', "Bob is big."),
        ("Anne is 'kind.'", "Bob is big."),
        ("“Anne is kind.”", "“Bob is big.”", "(Bob is big.)", "Yes."),
        ('"Stop!" said Bob.', "Anne went."),
        ("„Anne ist nett.“", "Bob ist groß."),
        ("»Anne ist nett.«", "»Bob ist groß.«"),
        ("Er kam.", "»Bob ging.«"),
        ("« Anne est gentille. »", "Bob est grand."),
        ("«\u00a0Anne est gentille.\u00a0»", "Bob est grand."),
        # Runs of marks.
        ("Really?!", "Yes..."),
        ("Well... maybe.", "Yes."),
        ("Wait...", "Bob is big."),
        # Abbreviations, acronyms, initials.
        ("Mr. Smith is kind.", "Dr. Brown is, e.g., big, i.e. not small.", "No.", "Yes."),
        ("Das ist z. B. groß bzw. rund.", "Bob ist nett."),
        ("M. Dupont est grand, p. ex. Bob aussi.", "Oui."),
        ("El Sr. Pérez es grande.", "La Sra. Gil vive en EE. UU. Bob no."),
        ("Он, т. е. Боб, большой.", "Энн добрая."),
        ("He is in the U.S. Senate.", "He is in the U.S.", "She is not."),
        ("J. R. R. Tolkien is kind.", "John F. Kennedy is big."),
        ("All A are B.", "All B are C."),
        ("Anne is taller than Person B.", "Person C is tall."),
        ("Acme Inc. is big.", "Bob works for Acme Inc.", "Anne does not."),
    ],
)
def test_sentences_end_where_a_reader_sees_it(units):
    assert sentences(" ".join(units)) == units


@pytest.mark.parametrize(
    "units",
    [
        ("安妮很善良。", "鲍勃很大。"),
        ("安妮说：“我很善良。”", "鲍勃很大。"),
        ("她很大。", "“你好。”"),
        ('安妮说："我很善良。"', "鲍勃很大。"),
        ("她很大。", '"你好。"', "是的。"),
        ("真的吗？！", "是的。"),
        ("安妮很善良。。。", "鲍勃很大。"),
        ("「アンは親切だ。」", "ボブは大きい。"),
        ("安妮很善良。 ", "鲍勃很大。"),
        ("安妮很善良。\n", "鲍勃很大。"),
        ("安妮 is kind.", "鲍勃 is big."),
    ],
)
def test_chinese_and_japanese_text_is_its_sentences_joined(units):
    text = joined(units, "zh")
    assert sentences(text, "zh") == units
    assert joined(sentences(text, "ja"), "ja") == text


def test_no_text_takes_long():
    start = time.perf_counter()
    for text in ("a. " * 30_000, "A. " * 3_000, "." * 100_000, '"' * 100_000, "x.y " * 30_000, "。”" * 30_000):
        assert "".join("".join(sentences(text)).split()) == "".join(text.split())
    assert time.perf_counter() - start < 20
