"""The words of a prompt in the languages of the questions: how it asks, and how it may be answered."""

from __future__ import annotations

import re

from xlprobe.samples.types import Sample

__all__ = ["ANSWERING", "BARE", "choices_of"]

_WORDS = {
    "en": ("Question: ", "Answer:", "True", "False", "Neither"),
    "fr": ("Question : ", "Réponse :", "Vrai", "Faux", "Aucun"),
    "de": ("Frage: ", "Antwort:", "Wahr", "Falsch", "Keines"),
    "es": ("Pregunta: ", "Respuesta:", "Verdadero", "Falso", "Ninguno"),
    "ru": ("Вопрос: ", "Ответ:", "Верно", "Неверно", "Ни то, ни другое"),
    "ar": ("سؤال: ", "الجواب:", "صحيح", "خطأ", "لا هذا ولا ذاك"),
    "fa": ("پرسش: ", "پاسخ:", "درست", "نادرست", "هیچ‌کدام"),
    "zh": ("问题：", "答案：", "真", "假", "都不是"),
    "sw": ("Swali: ", "Jibu:", "Kweli", "Uongo", "Hakuna"),
    "tr": ("Soru: ", "Cevap:", "Doğru", "Yanlış", "Hiçbiri"),
    "hi": ("प्रश्न: ", "उत्तर:", "सही", "गलत", "कोई नहीं"),
}
"""By language: what comes before the question and before the answer, and words for true, false and neither."""

_OTHERS = "en"
"""The language whose words serve all languages without words of their own."""

ANSWERING: dict[str, str] = {
    "*" if code == _OTHERS else code: f"{{context}}\n\n{ask}{{question}} {{choices}}?\n{answer}"
    for code, (ask, answer, *_) in _WORDS.items()
}
"""Templates of prompts that are to be answered, by language of the question."""

BARE = "{context}\n{question}"
"""The template of models that answer by a classifier, or not at all."""

_MEANINGS = {
    "true": 2, "yes": 2, "follows": 2, "entailed": 2, "entailment": 2,
    "false": 3, "no": 3, "does not follow": 3, "not entailed": 3, "not entailment": 3, "contradiction": 3,
    "neutral": 4, "unknown": 4, "undecided": 4,
}  # fmt: skip
"""Which of the words a label means; a label that is none of these is its own word."""


def choices_of(sample: Sample) -> tuple[str, ...]:
    """Return the answer words in the language of a sample's question, in the order of its labels."""
    words = _WORDS.get(sample.question_language, _WORDS[_OTHERS])
    choices = []
    for name in sample.label_names or ("false", "true"):
        meaning = _MEANINGS.get(re.sub(r"[\s_-]+", " ", name).strip().lower())
        choices.append(name if meaning is None else words[meaning])
    return tuple(choices)
