"""`mesh label`: a word on a cited chunk is kept with its vector, and what cannot be kept is said with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_assets.cli.label import label
from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.errors import CitationError, QueryError
from mesh_assets.storage.label_corrections import corrections_of
from mesh_assets_tests.flow.location import Location


def test_a_word_on_a_cited_chunk_is_kept_and_the_chunk_has_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = Location(tmp_path, {"encoder": FakeEncoder()})
    folder = location.settings.drops / "notes"
    folder.mkdir(parents=True)
    (folder / "a.md").write_text("# Taxes\n\nThe taxes of the province were raised again this year, and nobody knew.\n")
    location.settle()
    (path,) = location.files_of("slice_insights")
    labels = location.lake.root / "chunk_labels" / "notes" / Path(path).name
    assert labels.is_file()
    row = location.lake.read("chunk_sets", Path(path).stem).rows()[0]
    cited = f"notes/a.md:{row['byte_start']}-{row['byte_stop']}@{row['source_hash'][:12]}"
    monkeypatch.setenv("MESH_STATE", str(location.settings.state))
    monkeypatch.setenv("MESH_DROPS", str(location.settings.drops))
    label(cited, "finance")
    (kept,) = corrections_of(location.settings.state, "fake-64")
    assert (kept.label_set, kept.label, kept.vector.shape) == ("topic", "finance", (64,))
    label(cited, "content:other")
    assert len(corrections_of(location.settings.state, "fake-64")) == 2
    with pytest.raises(QueryError, match="several sets"):
        label(cited, "other")
    with pytest.raises(QueryError, match="no label 'cats'"):
        label(cited, "cats")
    with pytest.raises(CitationError, match="No embedded chunk"):
        label("notes/a.md:0-4@000000000000", "finance")
