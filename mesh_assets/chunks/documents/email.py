"""Mail (RFC 5322 and MIME) as blocks: who wrote to whom when, the text, and the attached files as files of their own.

Of a text that is there twice, plain and as HTML, the plain one is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import parsedate_to_datetime

from mesh_assets.chunks.documents.blocks import Attachment, Block, Heading, Letterhead, Paragraph
from mesh_assets.chunks.documents.html import markup_blocks
from mesh_assets.chunks.protocol import Source
from mesh_assets.schemas.rejects import Reject

_SHOWN = ("From", "To", "Cc", "Date")
# Mailing lists write to hundreds.
_MAX_HEADER = 400
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def email_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a mail; every chunk of it knows its sender, its day and its subject."""
    with source.open() as stream:
        message = message_from_bytes(stream.read(), policy=policy.default)
    subject = _header(message, "Subject")
    head = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    if subject:
        yield Heading(subject, 1)
    if head:
        yield Paragraph("\n".join(head))
        yield Letterhead("\n".join(line for line in head if line.startswith(("From", "Date"))), _moment(message))
    body = message.get_body(("plain", "html"))
    if body is not None:
        yield from _text_blocks(body, bool(subject))
    for number, part in enumerate(_attached(message, body), 1):
        yield from _attachment(part, number)


def _header(message: EmailMessage, name: str) -> str:
    """A header as text, empty where there is none. One that is malformed beyond reading is as none."""
    try:
        value = message.get(name)
    except Exception:  # noqa: BLE001  # the parser of headers raises what it likes; the mail goes on without that one
        return ""
    return " ".join(str(value).split())[:_MAX_HEADER] if value is not None else ""


def _moment(message: EmailMessage) -> datetime | None:
    try:
        moment = parsedate_to_datetime(_header(message, "Date"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def _content(part: MIMEPart) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text_blocks(body: MIMEPart, is_below: bool) -> Iterator[Block]:
    data, declared = _content(body), body.get_content_charset()
    if body.get_content_subtype() == "html":
        for block in markup_blocks(data, declared):
            yield block._replace(level=block.level + is_below) if isinstance(block, Heading) else block
        return
    try:
        text = data.decode(declared or "utf-8", "replace")
    except (LookupError, ValueError):
        text = data.decode("utf-8", "replace")
    for paragraph in _BLANK_LINES.split(text.replace("\r\n", "\n")):
        yield Paragraph("\n".join(line.rstrip() for line in paragraph.split("\n")))


def _attached(message: EmailMessage, body: MIMEPart | None) -> Iterator[MIMEPart]:
    """The parts that are files: those with a name, and those of another kind than text."""
    waiting: list[MIMEPart] = [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_type() == "message/rfc822":
            yield part
        elif part.is_multipart():
            waiting += reversed(list(part.iter_parts()))
        elif part is not body and (part.get_filename() or part.get_content_maintype() != "text"):
            yield part


def _attachment(part: MIMEPart, number: int) -> Iterator[Attachment]:
    name = part.get_filename() or ""
    if part.get_content_type() == "message/rfc822":
        inner = next((each for each in part.iter_parts()), None)
        data = inner.as_bytes() if inner is not None else b""
        name = name if name.endswith(".eml") else f"{name or f'mail {number}'}.eml"
    else:
        data = _content(part)
        name = name or f"part {number}.{part.get_content_subtype()}"
    if data:
        yield Attachment(name, data)
