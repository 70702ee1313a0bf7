from __future__ import annotations

import pytest

from xlprobe.languages import get_language


@pytest.mark.parametrize(("code", "between"), [("zh", ""), ("ja", ""), ("th", " "), ("ar", " "), ("en", " ")])
def test_sentences_are_parted_as_the_language_does(code, between):
    assert get_language(code).separator == between
