"""The graph in use: that of the lake, which is always there, or the Neo4j server of `MESH_NEO4J_URL`."""

import duckdb

from mesh_assets.resources.neo4j_graph import Neo4jGraph, connected
from mesh_assets.search.graph import Graph
from mesh_assets.settings import NO_SERVER, Settings
from mesh_assets.storage.graph_files import GraphFiles


def connect_graph_server(settings: Settings) -> Neo4jGraph | None:
    """The server that slices are loaded into, where one is set."""
    return None if settings.neo4j_url == NO_SERVER else Neo4jGraph(connected(settings.neo4j_url))


def connect_graph(settings: Settings, lake: duckdb.DuckDBPyConnection) -> Graph:
    """What answers questions: the server where one is set, else the lake, whose `lake.duckdb` is open."""
    return connect_graph_server(settings) or GraphFiles(settings.state / "lake").graph(lake)
