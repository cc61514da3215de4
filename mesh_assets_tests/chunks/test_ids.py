"""Ordinals of equal contents are exact however many there are; ids are what they always were."""

import random
from collections import Counter

import pytest
from blake3 import blake3

from mesh_assets.chunks.ids import ChunkIds, Ordinals
from mesh_assets_tests.chunks.sources import source


def batched(contents: list[bytes], size: int) -> list[list[bytes]]:
    return [contents[first : first + size] for first in range(0, len(contents), size)]


def digest(number: int) -> bytes:
    return blake3(str(number).encode()).digest(16)


@pytest.mark.parametrize("max_recent", [1, 10, 300, 1 << 16])
@pytest.mark.parametrize("distinct", [3, 400, 1 << 20])
def test_ordinals_count_equal_contents(max_recent: int, distinct: int) -> None:
    chance = random.Random(distinct + max_recent)
    contents = [digest(chance.randrange(distinct)) for _ in range(4000)]
    met: Counter[bytes] = Counter()
    wanted: list[int] = []
    for content in contents:
        wanted.append(met[content])
        met[content] += 1
    ordinals = Ordinals(max_recent)
    found = [ordinal for batch in batched(contents, 157) for ordinal in ordinals.of(batch)]
    assert found == wanted


def test_an_inserted_content_changes_no_other_ordinal_of_a_large_extent() -> None:
    contents = [digest(number) for number in range(5000)]
    plain, longer = Ordinals(64), Ordinals(64)
    assert longer.of([digest(-1)]) == [0]
    for batch in batched(contents, 100):
        assert plain.of(batch) == longer.of(batch) == [0] * 100


def test_ids_are_of_dataset_path_extent_content_and_ordinal() -> None:
    one = source("", path="a/file")
    content = blake3(b"text").digest(16)
    place = b"\0".join((one.dataset.encode(), b"a/file", b"0", content))
    wanted = [blake3(place + suffix).hexdigest(16) for suffix in (b"\x000", b"\x001", b"\x002")]
    ids = ChunkIds(one)
    assert ids.of(["text", "text"]) + ids.of(["text"]) == wanted
