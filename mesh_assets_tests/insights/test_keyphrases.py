from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.keyphrases import MAX_PHRASES, MAX_WORDS
from mesh_assets_tests.insights.chunk_rows import phrases_of


def names(text: str, kind: str = "text") -> list[str]:
    return [phrase for phrase, _ in phrases_of(text, kind)]


def test_the_phrase_of_a_repeated_log_line_is_what_a_person_would_say() -> None:
    text = "".join(
        f"2024-01-01 10:00:{i:02d} ERROR [pool-{i}] connection pool exhausted after {i} s\n" for i in range(5)
    )
    assert names(text, "log")[0] == "connection pool exhausted"


def test_prose_gives_its_noun_phrases_in_their_case() -> None:
    text = (
        "The Federal Reserve raised the interest rate again. Because of the interest rate, the Federal Reserve "
        "expects inflation to fall. An interest rate is what borrowing costs."
    )
    assert set(names(text)[:2]) == {"Federal Reserve", "interest rate"}


def test_identifiers_of_code_become_words() -> None:
    text = (
        "def parse_config_file(self):\n    return self.parseConfigFile(ConfigError)\n\ndef x(parse_config_file): pass\n"
    )
    assert names(text, "code")[0] == "parse config file"


def test_ids_hashes_and_encoded_data_make_no_phrases() -> None:
    text = (
        "blk_38865049064139660 9f86d081884c7d65 dGhpcyBpcyBub3QgYSBwaHJhc2U QmFzZTY0IGlzIG5vdCBhIHdvcmQ xkcd qwrt zzz"
    )
    assert names(text) == []


def test_nothing_to_say_gives_nothing() -> None:
    assert names("") == names("the of and") == names("1 2 3 ...") == []


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["text", "code", "log", "structured"]))
def test_any_text_gives_few_short_phrases_with_scores(text: str, kind: str) -> None:
    phrases = phrases_of(text, kind)
    assert len(phrases) <= MAX_PHRASES
    assert all(0 < score <= 1 and 1 <= len(phrase.split()) <= MAX_WORDS for phrase, score in phrases)
    assert [score for _, score in phrases] == sorted((score for _, score in phrases), reverse=True)
