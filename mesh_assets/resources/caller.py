"""The joined caller: ledger, pace, log and redaction of all calls to nodes, with the nodes of the settings.

Nothing is opened or read before it is used, so that a fault in mesh.yaml stops the analyses and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from mesh_assets.analyses.ladder import Means
from mesh_assets.analyses.offers import Thresholds
from mesh_assets.analyses.research import Techniques
from mesh_assets.analyses.signals import Calibrator
from mesh_assets.analyses.techniques.review import read_principles
from mesh_assets.errors import SettingsError
from mesh_assets.mesh.batch_desk import BatchDesk
from mesh_assets.mesh.batches import Batcher
from mesh_assets.mesh.calls import Caller
from mesh_assets.mesh.nodes import NodeState, nodes_on
from mesh_assets.mesh.protocol import BatchClient, Client, Node
from mesh_assets.mesh.shapes import DEPTHS, Depth
from mesh_assets.resources.batch_log import connect_batch_log
from mesh_assets.resources.calibrator import connect_calibrator
from mesh_assets.resources.call_log import connect_call_log
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.nodes import connect_batches, connect_client, node_states
from mesh_assets.resources.pace import connect_pace
from mesh_assets.settings import OWN_PRINCIPLES, SHIPPED_PRINCIPLES, Settings


@dataclass(frozen=True)
class MeshCaller:
    """Who may be asked, and the one way to ask. Tests give other `states` and `connect`.

    The `calibrator` is the newest fit on verdicts where none is given.
    """

    settings: Settings
    connect: Callable[[Node], Client] = connect_client
    connect_batches: Callable[[Node], BatchClient] = connect_batches
    states: Callable[[Settings], list[NodeState]] = node_states
    calibrator: Calibrator | None = None

    @cached_property
    def nodes(self) -> list[NodeState]:
        """The nodes of mesh.yaml, on and off; SettingsError where it cannot be used."""
        return self.states(self.settings)

    @cached_property
    def means(self) -> Means:
        """What the ladder asks by."""
        ledger = connect_ledger(self.settings)
        return Means(
            nodes=nodes_on(self.nodes),
            off=[state for state in self.nodes if state.off],
            caller=Caller(ledger, connect_pace(self.settings), connect_call_log(self.settings)),
            connect=self.connect,
            receipts=ledger.case_receipts,
            calibrator=self.calibrator or connect_calibrator(self.settings),
            thresholds=Thresholds(self.settings.deep_below, self.settings.expert_below, self.settings.research_below),
            techniques=connect_techniques(self.settings),
        )

    @cached_property
    def desk(self) -> BatchDesk:
        """The batches of the nodes."""
        return BatchDesk(Batcher(self.means.caller, connect_batch_log(self.settings)), self.connect_batches)


def connect_techniques(settings: Settings) -> Techniques:
    """The techniques of the settings; SettingsError where the owner's principles cannot be read."""
    if settings.principles != OWN_PRINCIPLES and not settings.principles.is_file():
        raise SettingsError(
            f"MESH_PRINCIPLES: there is no file {settings.principles}.", remedy="Correct the path, or unset it."
        )
    depths = frozenset[Depth](filter(settings.technique_depths.__contains__, DEPTHS))
    return Techniques(depths, read_principles(SHIPPED_PRINCIPLES, settings.principles) if depths else ())


def connect_caller(settings: Settings) -> MeshCaller:
    """The caller of the mesh on this machine."""
    return MeshCaller(settings)
