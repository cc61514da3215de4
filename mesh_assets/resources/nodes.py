"""The nodes of the settings, and the client that speaks to each."""

from collections.abc import Callable

from mesh_assets.errors import SettingsError
from mesh_assets.mesh.nodes import EXTRACTIVE, NodeState, read_nodes
from mesh_assets.mesh.protocol import BatchClient, Client, Node, Provider
from mesh_assets.resources.anthropic_batches import AnthropicBatches
from mesh_assets.resources.anthropic_node import AnthropicNode
from mesh_assets.resources.local_node import ExtractiveNode, LocalNode
from mesh_assets.resources.openai_batches import OpenAIBatches
from mesh_assets.resources.openai_node import OpenAINode
from mesh_assets.resources.recorded_node import RecordedNode
from mesh_assets.settings import OWN_NODES, SHIPPED_NODES, Settings, secret

_CLIENTS: dict[Provider, Callable[[Node], Client]] = {
    "openai": lambda node: OpenAINode(node, secret(node.key_variable)),
    "anthropic": lambda node: AnthropicNode(node, secret(node.key_variable)),
    "local": lambda node: ExtractiveNode() if node.model == EXTRACTIVE else LocalNode(node),
    "recorded": RecordedNode,
}


def node_states(settings: Settings) -> list[NodeState]:
    """The nodes of the shipped file and the owner's, each with why it is off; SettingsError for a file that is none."""
    if settings.nodes != OWN_NODES and not settings.nodes.is_file():
        raise SettingsError(f"MESH_NODES: there is no file {settings.nodes}.", remedy="Correct the path, or unset it.")
    return read_nodes(SHIPPED_NODES, settings.nodes, has_key=lambda name: bool(secret(name)))


def connect_batches(node: Node) -> BatchClient:
    """The client of the batch endpoint of `node`; SettingsError where it has none."""
    key = secret(node.key_variable)
    if node.has_batch and node.provider == "openai":
        return OpenAIBatches(node, key)
    if node.has_batch and node.provider == "anthropic":
        return AnthropicBatches(node, key)
    raise SettingsError(f"{node.name} has no batch endpoint.", remedy="Set `batch` of the node if its server has one.")


def connect_client(node: Node) -> Client:
    """The client for `node`. Nothing is loaded or asked before its first call."""
    return _CLIENTS[node.provider](node)
