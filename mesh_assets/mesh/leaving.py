"""A request as it may go to a node outside this machine: redacted as a whole. What is found belongs to `redaction`."""

from __future__ import annotations

from dataclasses import replace

from mesh_assets.mesh.protocol import Leaving, Request
from mesh_assets.mesh.redaction.redact import redact


def redacted(request: Request) -> Leaving:
    """`request` without secrets and personal data, all of its texts together; its answer is read back.

    The same request always gives the same one to send, so that what is kept of an answer is found again.
    """
    found = redact([request.system, request.stable, request.asked])
    system, stable, asked = (each.text for each in found.texts)
    return Leaving(replace(request, system=system, stable=stable, asked=asked), found.restore)
