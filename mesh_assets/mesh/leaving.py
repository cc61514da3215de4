"""A request as it may go to a node outside this machine: redacted as a whole, and on record before it goes.

Whoever asks such a node says, by `recorded`, where and for what its bytes are kept; the connection hands them over by
`record` and sends nothing that nobody keeps. What is found in a text belongs to `redaction`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from mesh_assets.errors import NodeError
from mesh_assets.mesh.prompts import evidence_spans
from mesh_assets.mesh.protocol import CallLog, Leaving, Node, Reason, Request, Sent
from mesh_assets.mesh.redaction.redact import redact


def redacted(request: Request) -> Leaving:
    """`request` without secrets and personal data, all of its texts together; its answer is read back.

    The same request always gives the same one to send, so that what is kept of an answer is found again.
    """
    spans = evidence_spans(request) or [(0, len(request.stable))]
    # One behind the other, without the marks between: a key may begin in one chunk of a file and end in the next.
    found = redact([request.system, request.asked, *(request.stable[start:stop] for start, stop in spans)])
    system, asked, *pieces = (each.text for each in found.texts)
    stable: list[str] = []
    at = 0
    for (start, stop), piece in zip(spans, pieces, strict=True):
        stable += (request.stable[at:start], piece)
        at = stop
    stable.append(request.stable[at:])
    return Leaving(replace(request, system=system, stable="".join(stable), asked=asked), found.restore)


@dataclass(frozen=True, slots=True)
class _Outbox:
    log: CallLog
    wall: Callable[[], float]
    dataset: str
    reasons: tuple[Reason, ...]
    batch: str


_OUTBOX: ContextVar[_Outbox | None] = ContextVar("outbox", default=None)


@contextmanager
def recorded(
    log: CallLog, wall: Callable[[], float], *, dataset: str, reasons: Sequence[Reason], batch: str = ""
) -> Generator[None]:
    """Within the block what leaves this task is kept in `log`, at the time that `wall` says."""
    token = _OUTBOX.set(_Outbox(log, wall, dataset, tuple(reasons), batch))
    try:
        yield
    finally:
        _OUTBOX.reset(token)


def record(node: Node, address: str, content: bytes) -> None:
    """Keep `content`, which goes to `address` next. NodeError where nobody asked by `recorded`: then it must not go."""
    outbox = _OUTBOX.get()
    if outbox is None:
        raise NodeError(
            f"Nothing goes to {node.name} without being recorded.",
            remedy="Ask it through a Caller or a Batcher of the mesh.",
            failure="refused",
        )
    outbox.log.sending(
        Sent(
            id=uuid.uuid4().hex,
            at=outbox.wall(),
            node=node.name,
            model=node.model,
            address=address,
            dataset=outbox.dataset,
            batch=outbox.batch,
            reasons=outbox.reasons,
            content=content,
        )
    )
