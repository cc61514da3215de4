"""Whatever the bytes are: chunks, rejects or a reason for the whole file, and a reading without gap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_assets.chunks.confined import close_reader
from mesh_assets.chunks.protocol import Part, Piece, Source, one_by_one
from mesh_assets.chunks.registry import chunker_for, has_reading
from mesh_assets.errors import SourceError
from mesh_assets.intake.kinds import SAMPLE_BYTES, detect
from mesh_assets_tests.chunks.samples import SAMPLES, sample
from mesh_assets_tests.chunks.sources import source


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    yield
    close_reader()


def parts(data: bytes, path: str, tokens: int = 64) -> list[Part]:
    """What comes of a file, by what it is found to be; nothing where nobody reads it."""
    found = detect(data[:SAMPLE_BYTES], path, whole=len(data) <= SAMPLE_BYTES)
    chunker = chunker_for(found.kind, found.format)
    given = replace(source(data, found.kind, found.format, path=path), encoding=found.encoding)
    return list(one_by_one(chunker.chunk(given, chunk_tokens=tokens))) if chunker else []


def readings(found: list[Part], path: str) -> dict[str, str]:
    """The reading of each file in `found`, after checking that it has no gap."""
    texts = {path: ""}
    for part in found:
        if isinstance(part, Source):
            path = part.path
            assert path not in texts
            texts[path] = "" if has_reading(part.kind, part.format) else "\0"
        elif isinstance(part, Piece) and not texts[path].startswith("\0"):
            assert part.byte_start == len(texts[path].encode("utf-8", "surrogatepass"))
            texts[path] += part.text
            assert part.byte_stop == len(texts[path].encode("utf-8", "surrogatepass"))
    return texts


@pytest.mark.parametrize("name", SAMPLES)
def test_a_small_file_of_each_format_is_read_and_the_same_for_any_size_of_chunks(name: str) -> None:
    data = sample(name)
    found = detect(data[:SAMPLE_BYTES], name, whole=True)
    if chunker_for(found.kind, found.format) is None:
        pytest.fail(f"nobody reads {name}, which is {found.kind}, {found.format}")
    pieces = [part for part in parts(data, name) if isinstance(part, Piece)]
    assert pieces
    if has_reading(found.kind, found.format):
        assert readings(parts(data, name, 16), name) == readings(parts(data, name, 512), name)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("name", SAMPLES)
def test_damage_of_any_sort_gives_parts_or_a_reason(name: str, data: st.DataObject) -> None:
    content = sample(name)
    at = data.draw(st.integers(0, len(content)))
    patch = data.draw(st.binary(max_size=30))
    rest = data.draw(st.sampled_from(["cut", "goes on", "again", "empty"]))
    tail = {"cut": b"", "goes on": content[at + len(patch) :], "again": content[at:], "empty": bytes(50)}[rest]
    damaged = content[:at] + patch + tail
    for path in (name, "file"):
        try:
            found = parts(damaged, path)
        except SourceError as error:
            assert error.reason
            assert error.remedy
        else:
            readings(found, path) if has_reading(*_kind(damaged, path)) else None


def _kind(data: bytes, path: str) -> tuple[str, str]:
    found = detect(data[:SAMPLE_BYTES], path, whole=True)
    return found.kind, found.format
