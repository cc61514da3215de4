"""Assets of the stage `indexes`. An index that is down never fails a slice: its state stays pending.

The graph and the time index are tables themselves, which DuckDB reads. Only a server that the graph is loaded into
besides can be down.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import dagster as dg
import pyarrow as pa

from mesh_assets.defs.partitions import ACROSS_GRAINS, dataset_asset, slice_asset
from mesh_assets.defs.produce import produce
from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.errors import IndexDownError
from mesh_assets.indexes import communities as communities_of
from mesh_assets.indexes import graph_rows, moment_rows
from mesh_assets.indexes.graph_file import SUFFIX, GraphWriter, edges_held
from mesh_assets.indexes.protocol import FulltextIndex, VectorIndex
from mesh_assets.indexes.stage import DOCUMENT_COLUMNS, index_documents, index_vectors
from mesh_assets.resources.graph_index import connect_graph_server
from mesh_assets.schemas.communities import COMMUNITIES
from mesh_assets.schemas.outcome import AttachedRows, Outcome, StageOutput
from mesh_assets.settings import Settings
from mesh_assets.slices import SliceKey
from mesh_assets.storage.files import publishing
from mesh_assets.storage.generations import Generations
from mesh_assets.storage.lake import Lake, LakeTable


@slice_asset()
def vector_index(
    context: dg.AssetExecutionContext,
    chunk_embeddings: LakeTable,
    lake: dg.ResourceParam[Lake],
    encoder: dg.ResourceParam[Encoder],
    vectors: dg.ResourceParam[VectorIndex],
    settings: dg.ResourceParam[Settings],
) -> StageOutput:
    """The slice's vectors where search finds them: by meaning, in milliseconds, from any number of processes.

    After a change of the model a slice moves from the older generation to the new one here.
    """
    key = context.partition_key
    # That of the vectors, which were made before a setting changed where only the index is made again.
    model = str(chunk_embeddings.footer.extra["settings"]["model"])
    if model == encoder.model:
        Generations(settings.state).note(model, settings, context.run.run_id)

    def moved() -> None:
        with suppress(IndexDownError):  # left for `index_catch_up`, which removes what no slice is of
            if vectors.held(key, model) == chunk_embeddings.footer.rows:
                vectors.forget_slices([key], but=model)

    return produce(
        context,
        lake,
        lambda outcome: iter([index_vectors(vectors, key, model, chunk_embeddings.batches(), outcome)]),
        upstream=[chunk_embeddings],
        total=chunk_embeddings.footer.rows,
        unit="vectors",
        settings={"model": model, "engine": vectors.engine},
        shown=_asked(context, f"vectors in {vectors.engine}, model {model}", 'mesh search "a question"'),
        is_there=lambda state: _holds(lambda: vectors.held(key, model), state.footer.rows_in),
        published=moved,
    )


@slice_asset()
def fulltext_index(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    lake: dg.ResourceParam[Lake],
    words: dg.ResourceParam[FulltextIndex],
) -> StageOutput:
    """The slice's words where search finds them: ranked by BM25, one writer at a time, any number of readers."""
    return produce(
        context,
        lake,
        lambda outcome: iter(
            [index_documents(words, context.partition_key, chunk_sets.batches(DOCUMENT_COLUMNS), outcome)]
        ),
        upstream=[chunk_sets],
        total=chunk_sets.footer.rows,
        unit="chunks",
        settings={"engine": words.engine},
        shown=_asked(context, f"words in {words.engine}", 'mesh search "a few words"'),
        is_there=lambda state: _holds(lambda: words.held(context.partition_key), state.footer.rows_in),
    )


@slice_asset()
def graph_index(
    context: dg.AssetExecutionContext,
    chunk_sets: LakeTable,
    chunk_insights: LakeTable,
    chunk_relations: LakeTable,
    slice_insights: LakeTable,
    log_events: LakeTable,
    series: LakeTable,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
) -> StageOutput:
    """How the slice hangs together: files, chunks, symbols, hosts, templates, columns, series and events as vertices;
    who contains, defines, calls, imports, mentions and follows whom, and what is related, as edges.

    `mesh graph` and `mesh sql "SELECT * FROM edges"` read it.
    """
    upstream = [chunk_sets, chunk_insights, chunk_relations, slice_insights, log_events, series]
    attached, key = AttachedRows(), context.partition_key
    told = {"dataset": SliceKey.parse(key).dataset, "slice_key": key}
    tables = {name: lake.path(name, key) for name in graph_rows.TABLES}
    path = lake.path("graph_index", key).with_suffix(SUFFIX)
    file = _published_graph(path, context.run.run_id)
    batches = graph_rows.graph_batches(tables, **told, attached=attached, file=file)
    server = connect_graph_server(settings)
    shown = _asked(context, "tables edges and vertices", "mesh graph NAME")
    is_asked = partial(_is_asked, path)
    if server is None:
        return _from_lake(context, lake, upstream, shown, batches, attached, is_there=is_asked)
    return _from_lake(
        context,
        lake,
        upstream,
        {**shown, "server": server.engine},
        batches,
        attached,
        load=lambda: graph_rows.load_graph(server, tables, **told),
        settings={"engine": server.engine},
        is_there=lambda edges: is_asked(edges) and _holds(lambda: server.held(key), edges.footer.rows),
    )


@slice_asset()
def time_index(
    context: dg.AssetExecutionContext,
    log_events: LakeTable,
    series: LakeTable,
    series_points: LakeTable,
    lake: dg.ResourceParam[Lake],
) -> StageOutput:
    """Every record of a log and every value of a series that has a time, in order of time.

    `mesh time` and `mesh sql "SELECT * FROM moments"` read it.
    """
    return _from_lake(
        context,
        lake,
        [log_events, series, series_points],
        _asked(context, "table moments", "mesh time"),
        moment_rows.moment_batches(
            {name: lake.path(name, context.partition_key) for name in moment_rows.TABLES},
            dataset=SliceKey.parse(context.partition_key).dataset,
            slice_key=context.partition_key,
        ),
    )


@dataset_asset(deps=[dg.AssetDep(asset, partition_mapping=ACROSS_GRAINS) for asset in communities_of.ASSETS])
def communities(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> StageOutput:
    """What hangs together in the dataset more closely than with the rest, each by its keyphrases: files, symbols,
    hosts, templates, columns that call, import, contain and mention each other.

    `mesh graph --communities` and `mesh sql "SELECT * FROM communities"` read it.
    """
    dataset = context.partition_key
    tables = {table: [lake.path(table, key) for key in _whole(lake, dataset)] for table in communities_of.TABLES}
    upstream = [lake.read(asset, key) for key in _whole(lake, dataset) for asset in communities_of.ASSETS]
    total = sum(table.footer.rows for table in upstream)

    def rows(outcome: Outcome) -> Iterator[pa.RecordBatch]:
        yield COMMUNITIES.batch(list(communities_of.community_rows(tables, dataset=dataset)))
        outcome.advance(total)

    command = f".venv/bin/mesh graph --communities --dataset {dataset}"
    shown: dict[str, object] = {"retrieval key": "table communities", "query": command}
    return produce(context, lake, rows, upstream=upstream, total=total, unit="rows", shown=shown)


def _whole(lake: Lake, dataset: str) -> list[str]:
    """Keys of the slices of a dataset that have every table that communities are made from."""
    return [
        key
        for key in sorted(lake.slices(dataset))
        if all(lake.path(table, key).exists() for table in communities_of.TABLES)
    ]


@contextmanager
def _published_graph(path: Path, run_id: str) -> Generator[GraphWriter]:
    """The file that answers questions about the graph, there before the table that says that the slice is done."""
    with publishing(path, run_id) as temporary, GraphWriter(temporary) as writer:
        yield writer


def _is_asked(path: Path, edges: LakeTable) -> bool:
    return _holds(lambda: edges_held(path), edges.footer.rows)


def _holds(held: Callable[[], int | None], entries: int) -> bool:
    """Whether an index has these `entries` of a slice. One that is down has none: the step then stays pending."""
    try:
        return held() == entries
    except IndexDownError:
        return False


def _from_lake(
    context: dg.AssetExecutionContext,
    lake: Lake,
    upstream: list[LakeTable],
    shown: dict[str, object],
    batches: Iterator[pa.RecordBatch],
    attached: AttachedRows | None = None,
    *,
    load: Callable[[], object] | None = None,
    settings: dict[str, object] | None = None,
    is_there: Callable[[LakeTable], bool] = lambda _: True,
) -> StageOutput:
    """An index that is a table, made of tables by one query: all their rows are done when it is.

    `load` brings the same into a server. Where that is down the table is there, and the rows count as skipped.
    """
    total = sum(table.footer.rows for table in upstream)

    def rows(outcome: Outcome) -> Iterator[pa.RecordBatch]:
        yield from batches
        try:
            if load is not None:
                load()
        except IndexDownError as error:
            context.log.warning(f"The graph is in the lake, and not yet in its server: {error}")
            outcome.skipped += total
        else:
            outcome.advance(total)

    return produce(
        context,
        lake,
        rows,
        upstream=upstream,
        total=total,
        unit="rows",
        shown=shown,
        attached=attached,
        settings=settings,
        is_there=is_there,
    )


def _asked(context: dg.AssetExecutionContext, where: str, command: str) -> dict[str, object]:
    """For the UI: where the index lies, and a query to paste."""
    dataset = SliceKey.parse(context.partition_key).dataset
    return {"retrieval key": where, "query": f".venv/bin/{command} --dataset {dataset}"}
