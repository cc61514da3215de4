"""Documents are cut where a reader would: at headings, paragraphs and sentences, each chunk knowing its headings."""

from __future__ import annotations

from mesh_assets.chunks.tokens import estimate_tokens
from mesh_assets_tests.chunks.sources import cut

FILLER = "The quick brown fox jumps over the lazy dog near the river bank. " * 5
GUIDE = f"""# Guide

## Install

{FILLER}

```sh
# not a heading
make install
```

## Use

{FILLER}

Details
-------

{FILLER}

Reference
=========

{FILLER}
"""


def test_each_section_is_a_chunk_under_its_headings() -> None:
    pieces = cut(GUIDE, "text", "markdown", tokens=128)
    assert [piece.symbol for piece in pieces] == [
        "Guide",
        "Guide > Use",
        "Guide > Details",
        "Reference",
    ]
    assert pieces[0].text.startswith("# Guide") and "# not a heading" in pieces[0].text
    assert pieces[1].context == "Guide > Use"
    assert pieces[2].text.startswith("Details\n----")


def test_headings_of_a_wiki_are_headings_as_its_dumps_and_its_corpora_write_them() -> None:
    for top, below in (("= Ships =", "== Engines =="), (" = Ships = ", " = = Engines = = ")):
        text = f"{top}\n\n{FILLER}\n\n{below}\n\n{FILLER}\n"
        assert [piece.symbol for piece in cut(text, "text", "markdown", tokens=80)] == ["Ships", "Ships > Engines"]
    for line in ("= Ships", "== Ships =", "a = b = c", "=="):
        assert cut(f"{FILLER}\n\n{line}\n{FILLER}", "text", "markdown", tokens=512)[-1].symbol is None, line


def test_long_lines_are_paragraphs_where_no_blank_ones_part_them() -> None:
    lines = [f"Harbour {number}. {FILLER}\n" for number in range(6)]
    pieces = cut("".join(lines), "text", "plain", tokens=180)
    assert all(piece.text.startswith("Harbour") for piece in pieces)
    wrapped = "".join(lines).replace("over the", "over\nthe").replace("fox", "fox\n")
    assert not all(piece.text.startswith("Harbour") for piece in cut(wrapped, "text", "plain", tokens=180))


def test_a_fence_hides_headings_until_it_closes() -> None:
    text = f"# A\n{FILLER}\n~~~~\n# no\n```\n# no\n~~~\n# no\n~~~~\n# B\n{FILLER}"
    assert [piece.symbol for piece in cut(text, "text", "markdown", tokens=256)] == ["A", "B"]


def test_front_matter_tables_and_rules_are_no_headings() -> None:
    text = (
        f"---\ntitle: x\n---\n\n{FILLER}\n\n---\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- item\n---\n\n#hashtag\n{FILLER}"
    )
    assert {piece.symbol for piece in cut(text, "text", "markdown", tokens=512)} == {None}


def test_tiny_siblings_share_a_chunk_under_their_parent() -> None:
    text = "# Changes\n\n" + "".join(f"## 1.{n}\n\nFixed a bug.\n\n" for n in range(12))
    pieces = cut(text, "text", "markdown", tokens=128)
    assert len(pieces) <= 3
    assert {piece.symbol for piece in pieces} == {"Changes"}


def test_a_section_that_fits_is_never_split_and_a_larger_one_keeps_its_paragraphs() -> None:
    paragraphs = [f"Paragraph {n}. " + "Some words that say something here. " * 6 for n in range(9)]
    text = "# A\n\n" + "\n\n".join(paragraphs) + "\n"
    pieces = cut(text, "text", "markdown", tokens=128)
    assert len(pieces) > 2
    assert all(any(paragraph.strip() in piece.text for piece in pieces) for paragraph in paragraphs)
    assert all(piece.tokens <= 128 for piece in pieces)


def test_a_long_paragraph_is_cut_at_sentences_then_words() -> None:
    pieces = cut("One sentence follows another one here. " * 60, tokens=64)
    assert all(piece.text.rstrip().endswith(".") for piece in pieces)
    words = cut("word " * 500, tokens=64)
    assert all(piece.text.endswith("word ") for piece in words)
    assert len(cut("x" * 20000, tokens=64)) > 10


def test_restructured_text_has_its_headings_by_order_of_adornment() -> None:
    text = f"=====\nTitle\n=====\n\n{FILLER}\n\nPart\n----\n\n{FILLER}\n\n"
    text += f"More\n~~~~\n\n{FILLER}\n\nNext\n----\n\n{FILLER}\n"
    assert [piece.symbol for piece in cut(text, "text", "rst", tokens=128)] == [
        "Title",
        "Title > Part",
        "Title > Part > More",
        "Title > Next",
    ]


def test_plain_text_groups_paragraphs_that_fit() -> None:
    text = "".join(f"Paragraph {n} says little.\n\n" for n in range(40))
    pieces = cut(text, tokens=64)
    assert 4 <= len(pieces) <= 12
    assert all(piece.text.endswith("\n\n") for piece in pieces)


def test_lines_count_from_one_and_belong_to_their_piece() -> None:
    first, *_, last = cut("a line\n\n" * 100, tokens=32)
    assert first.line_start == 1
    assert last.line_stop == 200


def test_a_long_heading_leaves_room_for_content() -> None:
    pieces = cut("# " + "very " * 200 + "\n\n" + FILLER * 10, "text", "markdown", tokens=64)
    assert all(piece.tokens <= 64 for piece in pieces)


def test_estimates_are_near_what_the_tokenizer_of_the_default_model_counts() -> None:
    # Counted with the tokenizer of all-MiniLM-L6-v2, without its two special tokens.
    counted = {
        "The quick brown fox jumps over the lazy dog near the river bank.": 14,
        "Revenue rose by 12.5% to $1,204 million in the third quarter of 2023.": 20,
    }
    for text, tokens in counted.items():
        assert abs(estimate_tokens(text, "text") - tokens) <= 0.3 * tokens


def test_a_heading_is_not_cut_off_from_what_it_is_above() -> None:
    text = f"# Guide\n\n## Install\n\n{FILLER}\n\n{FILLER}\n\n{FILLER}\n"
    first, second, *_ = cut(text, "text", "markdown", tokens=128)
    assert first.text.startswith("# Guide\n\n## Install\n\nThe quick")
    assert (first.symbol, first.context) == ("Guide > Install", "Guide")
    assert (second.symbol, second.context) == ("Guide > Install", "Guide > Install")
    assert all(piece.tokens <= 128 for piece in cut(text, "text", "markdown", tokens=128))


def test_what_does_not_fit_is_cut_into_parts_that_say_less() -> None:
    paragraph = "A sentence of some eight words stands here. " * 2
    pieces = cut(f"{paragraph}\n\n" * 40, tokens=128)
    assert all(64 < piece.tokens <= 96 for piece in pieces[:-1])
    whole = "A sentence of some eight words stands here. " * 10
    assert [piece.text.strip() for piece in cut(f"{whole}\n\n" * 4, tokens=128)] == [whole.strip()] * 4
