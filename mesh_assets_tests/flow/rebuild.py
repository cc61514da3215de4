"""The same slices made anew from the same manifest in a fresh state folder, and whether they are what is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import dagster as dg
import numpy as np
import pyarrow as pa
import tantivy

from mesh_assets.definitions import build_defs
from mesh_assets.indexes.protocol import Filter
from mesh_assets.indexes.vector_file import map_vectors
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.vector_index import connect_vector_index
from mesh_assets.schemas import TABLES
from mesh_assets.settings import Settings
from mesh_assets.stages import SLICE_ASSETS
from mesh_assets.storage.lake import Footer, Lake, LakeTable
from mesh_assets_tests.flow.location import QUIET, Location

# What a table says of itself that does not depend on when it was made and by which run.
FOOTER = ("rows", "rows_in", "done", "rejects", "skipped", "passing", "reject_rows", "input_hash", "content_hash")
# State of an index (paths, counts) and where a report lies: compared by what is in the index and in the report. Cases
# keep the evidence that they were asked with, so they and their answers depend on what was there before, on purpose.
_OTHERS = ("vector_index", "fulltext_index", "slice_reports", "cases")
COMPARED = tuple(asset for asset in SLICE_ASSETS if asset not in _OTHERS and not asset.endswith("_analyses"))


class Rebuild:
    """Slices of a location, made anew below `folder`: real assets over copies of the manifests, nothing else."""

    def __init__(self, location: Location, folder: Path, slices: Iterable[str]) -> None:
        self._location = location
        self.settings = location.settings_type(
            state=folder, drops=location.settings.drops, **{"quiet_seconds": 0, **location.options}
        )
        self.lake = Lake(folder / "lake")
        self.slices = sorted(slices)
        shutil.copytree(location.lake.root / "drop_manifests", self.lake.root / "drop_manifests")
        job = _unchecked_slice_job(build_defs(self.settings, resource_overrides=location.overrides))
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("slices", self.slices)
            for key in self.slices:
                job.execute_in_process(run_config=QUIET, partition_key=key, instance=instance)

    def check(self) -> None:
        """The location has the same in every table and in both indexes, for each of the slices."""
        for key in self.slices:
            for asset in COMPARED:
                self._check_table(asset, key)
            assert words_of(self._location.settings, key) == words_of(self.settings, key), key
            check_vectors(self._location, self.settings, key)

    def _check_table(self, asset: str, key: str) -> None:
        found, expected = self._location.lake.read(asset, key), self.lake.read(asset, key)
        there, made = _facts(found.footer), _facts(expected.footer)
        assert there == made, f"{asset} of {key}: {there} != {made}"
        volatile = [column.name for column in TABLES[asset].columns if column.volatile]
        rows, expected_rows = (table.table().drop_columns(volatile) for table in (found, expected))
        assert rows.equals(expected_rows), _difference(asset, key, rows, expected_rows)
        rejects = [list(_rows(lake.rejects(asset, key))) for lake in (self._location.lake, self.lake)]
        assert rejects[0] == rejects[1], (asset, key)
        assert all(row["reason"] and row["remedy"] for row in rejects[0]), (asset, key)

    def check_search(self, queries: Iterable[str], datasets: Iterable[str]) -> None:
        """Queries find the same here and there; all slices of `datasets` must have been made anew."""
        encoder = self._location.overrides["encoder"]
        assert hasattr(encoder, "encode")
        for query in queries:
            vector = encoder.encode([query])[0]
            for dataset in datasets:
                where = Filter(dataset=dataset)
                near, words = [], []
                for settings in (self._location.settings, self.settings):
                    index = connect_vector_index(settings)
                    near.append(index.search(encoder.model, vector, limit=20, where=where))  # type: ignore[attr-defined]
                    hits = connect_fulltext_index(settings).search(query, limit=10_000, where=where)
                    # Scores count replaced entries until tantivy merges them away: which are found is the same.
                    words.append({(hit.chunk_id, hit.slice) for hit in hits})
                assert near[0] == near[1], (query, dataset)
                assert words[0] == words[1], (query, dataset)


def _unchecked_slice_job(defs: dg.Definitions) -> dg.JobDefinition:
    """The slice job without its checks, which would double its time; the comparison checks more."""
    selection = dg.AssetSelection.assets(*SLICE_ASSETS).without_checks()
    jobs = dg.Definitions(jobs=[dg.define_asset_job("rebuild_job", selection=selection)])
    return dg.Definitions.merge(defs, jobs).resolve_job_def("rebuild_job")


def words_of(settings: Settings, key: str) -> list[str]:
    """Ids of the entries that the full-text index holds of a slice, sorted."""
    (folder,) = (settings.state / "indexes" / "words").glob("words-*[0-9]")
    index = tantivy.Index.open(str(folder))
    searcher = index.searcher()
    found = searcher.search(tantivy.Query.term_query(index.schema, "slice", key), 1_000_000)
    return sorted(cast("bytes", searcher.doc(address)["chunk_id"][0]).hex() for _, address in found.hits)


def vector_files(settings: Settings) -> dict[str, Path]:
    """The vector file of each slice."""
    return {path.stem: path for path in (settings.state / "indexes" / "vectors").rglob("*.vectors")}


def check_vectors(location: Location, rebuilt: Settings, key: str) -> None:
    """The vector file of a slice has the same bytes: ids, kinds, vectors and codes in the same order."""
    there, made = (map_vectors(vector_files(settings)[key]) for settings in (location.settings, rebuilt))
    assert (there.rows, there.model, there.kinds) == (made.rows, made.model, made.kinds), key
    for name in ("vectors", "ids", "codes"):
        np.testing.assert_array_equal(getattr(there, name), getattr(made, name), err_msg=f"{name} of {key}")


def _facts(footer: Footer) -> dict[str, object]:
    assert footer.conserved, (footer.asset, footer.partition)
    return {name: getattr(footer, name) for name in FOOTER}


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterable[dict[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()


def _difference(asset: str, key: str, there: pa.Table, made: pa.Table) -> str:
    for number, (a, b) in enumerate(zip(there.to_pylist(), made.to_pylist(), strict=False)):
        if a != b:
            names = [name for name in a if a[name] != b[name]]
            return f"{asset} of {key}, row {number}: " + "; ".join(f"{n}: {a[n]!r} != {b[n]!r}" for n in names)
    return f"{asset} of {key}: {there.num_rows} rows, rebuilt {made.num_rows}"


def table_hashes(table: LakeTable | None) -> list[str]:
    """The distinct text hashes of a table of `chunk_embeddings`; none where there is no table."""
    return [] if table is None else sorted(set(table.table(["text_hash"])["text_hash"].to_pylist()))
