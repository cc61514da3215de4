"""What speaks against an answer is told as a sentence, and a sound answer has nothing against it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.mesh.routing.verifiers import SIGNALS, flaws, signals

QUESTION = "A box holds 12 eggs and costs $3. How many eggs does Ana get for $15?"
SOUND = "Ana buys 15 / 3 = 5 boxes.\nShe gets 5 * 12 = 60 eggs.\n#### 60"


def _names(answer: str, question: str = QUESTION) -> set[str]:
    return {flaw.name for flaw in flaws(question, answer)}


def test_a_sound_answer_has_no_flaw() -> None:
    assert flaws(QUESTION, SOUND) == []


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (SOUND.replace("= 60", "= 61"), "wrong arithmetic"),
        ("Ana gets a lot of eggs.", "no number"),
        ("Ana buys 15 / 3 = 5 boxes, so 5 * 12 = 60 eggs for 15", "no result"),
        (SOUND.replace("#### 60", "#### 72"), "result from nowhere"),
        ("12 - 15 - 3 = -6\n#### -6", "negative result"),
        ("15 / 12 / 3 = 0.42\n#### 0.42", "part of a thing"),
        ("15 / 3 = 5\n#### 5", "unused numbers"),
        ("15 / 3 = 5\n5 * 12 * 17 = 1020\n#### 1020", "numbers without source"),
        ("15 / 3 = 5\n12 * 3 = 36\n36 + 15 = 51\n#### 51", "dropped steps"),
        (SOUND + "\nHowever, it seems impossible.", "doubts"),
    ],
)
def test_flaws_are_found(answer: str, name: str) -> None:
    assert name in _names(answer)


def test_the_sentence_says_what_the_sum_is() -> None:
    (flaw,) = [each for each in flaws(QUESTION, SOUND.replace("= 60", "= 61")) if each.name == "wrong arithmetic"]
    assert flaw.sentence == "Its arithmetic is wrong: 5 * 12 is 60, not 61."


TEXTS = st.text(alphabet="0123456789+-*/=<>#.$% \nanswer:\u00e9\u0660", max_size=80)


@settings(max_examples=30, deadline=None)
@given(TEXTS, TEXTS)
def test_any_texts_give_numbers_for_each_signal(question: str, answer: str) -> None:
    assert len(signals(question, answer)) == len(SIGNALS) == len(set(SIGNALS))
    assert all(flaw.sentence.endswith(".") for flaw in flaws(question, answer))
