"""Old binary documents (Word, PowerPoint, Outlook): told apart, and refused with what their owner can do."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_assets.chunks.documents.blocks import Block
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.schemas.rejects import Reject

_REMEDIES = {
    "doc": "Open it with Word or LibreOffice, save it as .docx and drop that.",
    "ppt": "Open it with PowerPoint or LibreOffice, save it as .pptx and drop that.",
    "msg": "Save it from Outlook as .eml and drop that.",
}


def old_blocks(source: Source) -> Iterator[Block | Reject]:
    """Raises FormatError: these formats are not read."""
    raise FormatError(
        f"old binary format {source.format}",
        f"{source.path} is written in a format of Office before 2007, or of Outlook, which is not read.",
        remedy=_REMEDIES.get(source.format, "Open it with LibreOffice, save it in an open format and drop that."),
    )
