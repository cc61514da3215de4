"""Token sums of parts of a text are those of their characters one by one."""

import random

import pytest

from mesh_assets.chunks.tokens import MAX_CHARACTERS_PER_TOKEN, PARTS, TokenMeter, worth

RANDOM = random.Random(7)
TEXTS = ["", "a", "Seven77", "x" * 8, " " * 900 + "word", "wide \u6f22\u5b57 and caf\u00e9, " * 40] + [
    "".join(RANDOM.choices("aZ9,. \n\u00e9\u6f22", k=RANDOM.randint(1, 400))) for _ in range(30)
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_comes_before_each_place_is_the_sum_of_its_characters(text: str) -> None:
    meter = TokenMeter(text, "text")
    wanted = [worth(text[:at], "text") for at in range(len(text) + 1)]
    assert [meter.before(at) for at in range(len(text) + 1)] == wanted
    assert meter.before_each(range(len(text) + 1)) == wanted


@pytest.mark.parametrize("text", TEXTS[1:])
@pytest.mark.parametrize("limit", [1, 5, 40])
def test_a_part_reaches_as_far_as_its_tokens_and_characters_allow(text: str, limit: int) -> None:
    meter = TokenMeter(text, "text")
    for start in range(0, len(text), 7):
        stop = RANDOM.randint(start + 1, len(text))
        fitting = [
            end
            for end in range(start + 1, stop + 1)
            if worth(text[start:end], "text") <= limit * PARTS and end - start <= limit * MAX_CHARACTERS_PER_TOKEN
        ]
        assert meter.reach(start, limit, stop) == max(fitting, default=start + 1)
        assert meter.fits(start, stop, limit) == (stop in fitting)
