"""A batch endpoint in memory, for tests of what waits in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh_assets.errors import NodeError
from mesh_assets.mesh.protocol import Completion, Request, Usage
from mesh_assets_tests.analyses.scripted import Script


@dataclass
class BatchServer:
    """Answers by its script once `is_ready`; `expires` gives nothing instead. `dies` with the next batch it takes."""

    script: Script
    is_ready: bool = False
    expires: bool = False
    dies: BaseException | None = None
    taken: dict[str, Mapping[str, Request]] = field(default_factory=dict[str, Mapping[str, Request]])

    async def submit(self, requests: Mapping[str, Request], *, name: str, seconds: float) -> str:
        self.taken[name] = requests
        if self.dies is not None:
            raise self.dies
        return name

    async def find(self, name: str, *, seconds: float) -> str:
        return name if name in self.taken else ""

    async def collect(self, provider_id: str, *, seconds: float) -> Mapping[str, Completion | NodeError] | None:
        if not self.is_ready:
            return None
        lost = NodeError("It expired.", remedy="Send it again.", failure="server", may_pass=True)
        requests = self.taken[provider_id]
        return {
            name: lost if self.expires else Completion(self.script(request), "stop", Usage(input=500, output=100))
            for name, request in requests.items()
        }

    async def close(self) -> None:
        pass

    @property
    def questions(self) -> int:
        return sum(len(requests) for requests in self.taken.values())
