"""Mail (RFC 5322 and MIME) as blocks: who wrote to whom when, the text, and the attached files as files of their own.

Of a text that is there twice, plain and as HTML, the plain one is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import cast

from mesh_assets.chunks.documents.blocks import Attachment, Block, Heading, Letterhead, Paragraph
from mesh_assets.chunks.documents.html import declared_text, decoded, markup_blocks
from mesh_assets.chunks.protocol import Source
from mesh_assets.schemas.rejects import Reject

_SHOWN = ("From", "To", "Cc", "Date")
# Mailing lists write to hundreds.
_MAX_HEADER, _MAX_WRITTEN = 400, 2000
# What programs call their text without looking: it is UTF-8 where it can be.
_UNSURE = frozenset({None, "us-ascii", "iso-8859-1", "utf-8"})
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def email_blocks(source: Source) -> Iterator[Block | Reject]:
    """The blocks of a mail; every chunk of it knows its sender, its day and its subject."""
    with source.open() as stream:
        # The older of Python's two readers of mail: the newer one takes seconds and gigabytes for odd headers.
        message = message_from_bytes(stream.read())
    parts = list(_parts(message))
    subject = _header(message, "Subject")
    head = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    if subject:
        yield Heading(subject, 1)
    if head:
        yield Paragraph("\n".join(head))
        yield Letterhead("\n".join(line for line in head if line.startswith(("From", "Date"))), _moment(message))
    texts = [part for part in parts if part.get_content_maintype() == "text" and not part.get_filename()]
    texts.sort(key=lambda part: part.get_content_subtype() != "plain")
    body = next((part for part in texts if part.get_content_subtype() in ("plain", "html")), None)
    if body is not None:
        yield from _text_blocks(body, bool(subject))
    for number, part in enumerate((part for part in parts if part not in texts), 1):
        yield from _attachment(part, number)


def _parts(message: Message) -> Iterator[Message]:
    """The parts that are no containers of others, in order; a mail in the mail is one."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        held = _held(part)
        if held and part.get_content_type() != "message/rfc822":
            waiting += reversed(held)
        else:
            yield part


def _held(part: Message) -> list[Message]:
    """The parts in a container of parts."""
    payload = part.get_payload()
    return [each for each in cast("list[object]", payload) if isinstance(each, Message)] if part.is_multipart() else []


def _header(message: Message, name: str) -> str:
    """A header as text, empty where there is none."""
    value = message.get(name)
    written = str(value)[:_MAX_WRITTEN] if value is not None else ""
    with suppress(ValueError, LookupError):  # what is malformed is shown as it is written
        written = str(make_header(decode_header(written)))
    return " ".join(written.split())[:_MAX_HEADER]


def _moment(message: Message) -> datetime | None:
    try:
        moment = parsedate_to_datetime(_header(message, "Date"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text_blocks(body: Message, is_below: bool) -> Iterator[Block]:
    data, declared = _content(body), body.get_content_charset()
    if body.get_content_subtype() == "html":
        for block in markup_blocks(data, declared):
            yield block._replace(level=block.level + is_below) if isinstance(block, Heading) else block
        return
    text = decoded(data, None) if declared in _UNSURE else declared_text(data, declared or "")
    for paragraph in _BLANK_LINES.split(text.replace("\r\n", "\n")):
        yield Paragraph("\n".join(line.rstrip() for line in paragraph.split("\n")))


def _attachment(part: Message, number: int) -> Iterator[Attachment]:
    name = part.get_filename() or ""
    if part.get_content_type() == "message/rfc822":
        data = b"".join(each.as_bytes() for each in _held(part))
        name = name if name.endswith(".eml") else f"{name or f'mail {number}'}.eml"
    else:
        data = _content(part)
        name = name or f"part {number}.{part.get_content_subtype()}"
    if data:
        yield Attachment(name, data)
