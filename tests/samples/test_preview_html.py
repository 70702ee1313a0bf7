from __future__ import annotations

from html.parser import HTMLParser

from xlprobe.samples import Encoder, ParallelSample, generate
from xlprobe.samples.preview_html import problem_html, tokens_html


class Page(HTMLParser):
    """Collects each text with the direction of the innermost element that has one, and checks that tags close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        directions = [attrs["dir"] for _, attrs in self.open if "dir" in attrs]
        self.texts.append((data, directions[-1] if directions else None))


def test_each_text_stands_in_its_direction():
    (sample,) = generate(1, questions=1, depth=2, languages=("en", "ar", "fa", "zh"))
    found = dict(Page(problem_html(sample)).texts)
    for code, direction in {"en": "ltr", "zh": "ltr", "ar": "rtl", "fa": "rtl"}.items():
        for text in (*sample.context[code], sample.question[code]):
            assert found[text] == direction


def test_the_proof_is_told_and_text_is_escaped():
    sample = ParallelSample(
        "k", "g", "d", {"en": ("<b>Anne</b> & Bob.", "Two.")}, {"en": "Asked?"}, 1, 1,
        {"proof": [{"statement": 1, "depth": 1, "gives": "<i>", "from": ["a&b"]}]},
    )  # fmt: skip
    html = problem_html(sample)
    assert "<b>Anne" not in html
    assert "&lt;b&gt;Anne&lt;/b&gt; &amp; Bob." in html
    texts = [text for text, _ in Page(html).texts]
    assert "depth 1: <i> (sentence 2, from: a&b)" in texts
    assert texts[texts.index("2") + 1] == " [1]"


def test_plain_sentences_have_neither_question_nor_proof():
    html = problem_html(ParallelSample("k", "g", "d", {"en": ("One.",)}), ["en"])
    assert "?" not in html
    assert "<ol>" not in html


def test_tokens_take_the_colour_of_their_language(tiny):
    problem = tiny.problems(languages=("en", "fr"))[0]
    encoder = Encoder(tiny.tokenizers["bert"]())
    html = tokens_html(problem.pair("en", "fr"), encoder, {"en": "#000001", "fr": "#000002"}.__getitem__)
    batch = encoder.encode([problem.pair("en", "fr")])
    question = int((batch.unit_ids == batch.unit_ids.max()).sum())
    assert html.count("background:#000002") == question
    assert html.count("background:#000001") == int((batch.unit_ids >= 0).sum()) - question
    assert html.count("background:#888888") == 3
    tokens = encoder.tokenizer.convert_ids_to_tokens(batch.input_ids[0].tolist())
    assert [text for text, _ in Page(html).texts] == tokens


def test_tokens_of_right_to_left_units_run_right_to_left(bundled_encoder):
    (problem,) = generate(1, questions=1, languages=("en", "ar"))
    encoder = Encoder(bundled_encoder.tokenizer, **bundled_encoder.encoding)
    texts = Page(tokens_html(problem.pair("ar", "en"), encoder, lambda code: "#000000")).texts
    arabic = [direction for text, direction in texts if any("\u0600" < letter < "\u0700" for letter in text)]
    latin = [direction for text, direction in texts if text.strip("▁").isascii() and text.strip("▁").isalpha()]
    assert set(arabic) == {"rtl"}
    assert latin[-1] == "ltr"
