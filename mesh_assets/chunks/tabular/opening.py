"""Extents for libraries that read here and there in a file, and their complaints as errors that say what to do.

What the libraries make of the bytes belongs to the readers.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mesh_assets.chunks.members import room_of, take_room
from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError, SourceError
from mesh_assets.schemas.rejects import printable

if TYPE_CHECKING:
    from zipfile import ZipFile

# A larger extent is copied to a temporary file rather than into memory.
IN_MEMORY = 16 << 20
# XML parts of an office file are read by libraries that hold them as trees or lists, at several times their size.
MAX_PART = 512 << 20
_BLOCK = 1 << 20
# What an office file has no need of: entities are how small XML grows large, or reaches for other files.
_DOCTYPE = b"<!DOCTYPE"


@contextmanager
def seekable(source: Source) -> Generator[BinaryIO]:
    """The bytes of `source` as a stream that can be read anywhere: in memory, or from a copy that goes with it."""
    with source.open() as stream:
        if source.stop - source.start <= IN_MEMORY:
            yield BytesIO(stream.read())
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy, _BLOCK)
            copy.seek(0)
            yield copy


@contextmanager
def copied(source: Source) -> Generator[Path]:
    """A private copy of `source` for libraries that open a path; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy"
        with source.open() as stream, path.open("wb") as copy:
            shutil.copyfileobj(stream, copy, _BLOCK)
        yield path


@contextmanager
def format_errors(source: Source, form: str) -> Generator[None]:
    """Whatever a library says inside of this is a FormatError of `source`, but for what the system says of a disk."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FormatError(
            f"broken {form}",
            f"{printable(source.path)} cannot be read as {form}: {complaint(error)}",
            remedy="Open it with the program that wrote it and save it again, or as CSV.",
        ) from error


def complaint(error: Exception) -> str:
    """What a library says, on one line, with the name of its error where it says nothing."""
    said = " ".join(str(error).split())[:300]
    return f"{said or type(error).__name__}."


@contextmanager
def office_file(source: Source, stream: BinaryIO) -> Generator[ZipFile]:
    """The zip of an office file, once it is known that it unpacks to no more than it may, and holds no entities.

    FormatError where it does not. What a part declares as its size is all that zipfile reads of it.
    """
    from zipfile import ZipFile

    with ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.file_size > MAX_PART:
                raise FormatError(
                    "unpacks to too much",
                    f"{printable(source.path)} holds a part of {info.file_size >> 20:,} MiB.",
                    remedy="Save it as CSV or Parquet.",
                )
        take_room(room_of(source), sum(info.file_size for info in archive.infolist()), source.path)
        for info in archive.infolist():
            with archive.open(info) as part:
                head = part.read(4096)
            if _DOCTYPE in head.replace(b"\0", b""):
                raise FormatError(
                    "XML with entities",
                    f"{printable(source.path)} declares a document type in {printable(info.filename)}.",
                    remedy="Save it again with the program that wrote it: office programs declare none.",
                )
        yield archive
