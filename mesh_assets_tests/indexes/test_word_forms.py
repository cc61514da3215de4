"""The forms of a word are what a stemmer would have put together, so that unstemmed texts are found as stemmed ones."""

from __future__ import annotations

import re
from collections import Counter
from pydoc_data.topics import topics

import pytest
import tantivy
from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.indexes.word_forms import forms_of

_STEMMER = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.remove_long(129))
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.stemmer("english"))
    .build()
)


def forms(word: str) -> frozenset[str]:
    (stem,) = _STEMMER.analyze(word)
    return forms_of([stem], _STEMMER.analyze).get(stem, frozenset())


@pytest.mark.parametrize(
    "words",
    [
        "pump pumps pumped pumping",
        "happy happiness",
        "hope hopes hoped hoping",
        "stop stops stopped stopping",
        "control controlled controlling",
        "query queries queried querying",
        "connect connects connected connecting connection connections connective",
        "efficient efficiency efficiently",
        "capable capability capabilities",
    ],
)
def test_any_form_leads_to_all_others(words: str) -> None:
    for word in words.split():
        assert set(words.split()) <= forms(word), word


@given(st.from_regex(r"[a-z]{1,60}", fullmatch=True))
def test_no_form_has_another_stem(word: str) -> None:
    (stem,) = _STEMMER.analyze(word)
    assert all(_STEMMER.analyze(form) == [stem] for form in forms(word))


@pytest.mark.parametrize("stem", ["", "2024", "utf8", "größ", "設", "a" * 128])
def test_what_is_no_usual_word_has_no_forms(stem: str) -> None:
    assert forms_of([stem], _STEMMER.analyze) == {}


def test_nearly_all_words_of_a_documentation_are_forms_of_their_stems() -> None:
    words = Counter(re.findall(r"\b[a-z]{3,}\b", " ".join(topics.values()).lower()))
    stems = dict(zip(words, _STEMMER.analyze(" ".join(words)), strict=True))
    found = forms_of(set(stems.values()), _STEMMER.analyze)
    missed = sum(count for word, count in words.items() if word not in found.get(stems[word], frozenset()))
    assert missed < 0.005 * words.total()
