"""Archives and compressed files are opened as folders: zip, tar, gzip, bzip2, xz and zstd.

Bytes are counted while they are unpacked, whatever the archive says of itself; nothing is written to a path that the
archive names. What a member becomes belongs to `members`.
"""

from __future__ import annotations

import errno
import io
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import IO, BinaryIO, Self, cast

from mesh_assets.chunks.members import Member, parts_of_member, room_of, take_room
from mesh_assets.chunks.protocol import Part, Room, Source
from mesh_assets.chunks.streams import another
from mesh_assets.errors import FormatError, SourceError
from mesh_assets.schemas.rejects import Reject

# Members after so many are one reject: their names alone would fill the memory.
MAX_MEMBERS = 100_000
# Members up to this size are unpacked to memory, larger ones to a file without a name.
_IN_MEMORY = 16 << 20
_BLOCK = 1 << 20
# Where a tar says what it is, and how.
_TAR_MAGIC = slice(257, 262)
# What tarfile says where there is less of a header than one; types of its module that its stubs do not have.
_TAR_CUT = cast(
    "tuple[type[tarfile.HeaderError], ...]",
    (tarfile.TruncatedHeaderError, tarfile.EmptyHeaderError),  # pyright: ignore
)

_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(ValueError, NotImplementedError, RuntimeError, OSError),
)
# What to do where it is not to unpack the archive oneself.
_REMEDIES = {
    "a link": "Links in archives are not followed; put the file itself into the archive.",
    "cut off": "What is there of it was read. Copy the archive again from where it came.",
}

# A file in an archive as it comes: its name, how to open it once, and why it cannot be used, if so.
_Entry = tuple[str, Callable[[], IO[bytes]] | None, str]


class ArchiveChunker:
    """Chunks what is in an archive, file by file."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part]:
        """The parts of each member behind it. A member that cannot be used is a reject; the others go on."""
        names: Counter[str] = Counter()
        room = room_of(source)
        source = replace(source, room=room)
        with source.open() as stream:
            for count, (name, opened, fault) in enumerate(_checked(source, _entries(source, stream))):
                if count == MAX_MEMBERS:
                    yield _reject(source, "", "too many files in it", f"The first {MAX_MEMBERS:,} were read.")
                    return
                names[name] += 1
                called = name if names[name] == 1 else _numbered(name, names[name])
                if opened is None:
                    yield _reject(source, called, fault, fault)
                    continue
                try:
                    with _unpacked(source, called, opened, room) as member:
                        yield from parts_of_member(source, member, chunk_tokens=chunk_tokens)
                except _MemberError as error:
                    yield _reject(source, called, error.reason, str(error))


def _numbered(name: str, number: int) -> str:
    folder, slash, file = name.rpartition("/")
    stem, dot, suffix = file.rpartition(".")
    return f"{folder}{slash}{stem} ({number}){dot}{suffix}" if stem else f"{name} ({number})"


class _MemberError(Exception):
    """One member is damaged; the archive goes on."""

    def __init__(self, reason: str, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.reason = reason


def _reject(source: Source, name: str, reason: str, detail: str) -> Reject:
    """A reject of a part: the rest of the archive is used."""
    path = f"{source.path}!/{name}" if name else source.path
    remedy = _REMEDIES.get(reason, "Unpack it yourself and drop its content as a folder.")
    return Reject(path, reason, remedy, detail, byte_start=0, byte_stop=source.stop)


def _checked(source: Source, entries: Iterator[_Entry]) -> Iterator[_Entry]:
    """The entries; FormatError where the archive itself breaks."""
    try:
        yield from entries
    except _BROKEN as error:
        raise FormatError(
            f"broken {source.format}",
            f"{source.path} cannot be unpacked: {error or type(error).__name__}.",
            remedy="Make the archive again or drop its content as a folder.",
        ) from error


def _entries(source: Source, stream: BinaryIO) -> Iterator[_Entry]:
    if source.format == "zip":
        yield from _zip_entries(stream)
    elif source.format == "tar":
        yield from _tar_entries(stream)
    else:
        yield from _compressed_entries(source, stream)


def _zip_entries(stream: BinaryIO) -> Iterator[_Entry]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                yield info.filename, None, "encrypted"
            elif stat.S_ISLNK(info.external_attr >> 16):
                yield info.filename, None, "a link"
            else:
                yield info.filename, partial(archive.open, info), ""


class _TarHeader(tarfile.TarInfo):
    """Says where a tar ends without its mark: tarfile takes one that is cut off between files for whole."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _TAR_CUT as error:
            raise EOFError("it is cut off") from error


def _tar_entries(stream: IO[bytes]) -> Iterator[_Entry]:
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarHeader) as archive:
        for info in archive:
            if info.isfile():
                yield info.name, partial(_tar_member, archive, info), ""
            elif info.islnk() or info.issym():
                yield info.name, None, "a link"


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return cast("IO[bytes]", archive.extractfile(info))


def _compressed_entries(source: Source, stream: BinaryIO) -> Iterator[_Entry]:
    """The one file that is compressed, or the files of the tar that it is."""
    unpacked = io.BufferedReader(_Unpacked(_decompressed(source.format, stream)), _BLOCK)
    if unpacked.peek(512)[_TAR_MAGIC] == b"ustar":
        yield from _tar_entries(unpacked)
    else:
        name = source.path.rpartition("/")[2]
        yield name.rpartition(".")[0] or name, lambda: unpacked, ""


def _decompressed(form: str, stream: BinaryIO) -> IO[bytes]:
    if form == "gzip":
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    if form == "bzip2":
        import bz2

        return bz2.BZ2File(stream)
    if form == "xz":
        return lzma.LZMAFile(stream)
    import pyarrow as pa

    return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(cast("io.IOBase", stream), mode="r"), "zstd"))


class _Unpacked(io.RawIOBase):
    """Any stream with `read1` as a raw stream: `read` would lose what comes before an error."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = cast("io.BufferedReader", stream)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # pyright: ignore[reportArgumentType]
        block = self._stream.read1(len(view))
        view[: len(block)] = block
        return len(block)


@contextmanager
def _unpacked(source: Source, name: str, opened: Callable[[], IO[bytes]], room: Room) -> Generator[Member]:
    """The content of a member for as long as the block lasts; _MemberError where it is damaged.

    Of one that is cut off the block has what is there, and the error comes behind it.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
        size = 0
        cut: EOFError | None = None
        try:
            content = cast("io.BufferedReader", opened())
            while block := content.read1(_BLOCK):
                take_room(room, len(block), source.path)
                size += len(block)
                spool.write(block)
        except EOFError as error:
            if not size:
                raise _MemberError("cannot be unpacked", error) from error
            cut = error
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise SourceError(
                    "no room to unpack",
                    f"{source.path} cannot be unpacked to {tempfile.gettempdir()}: {error.strerror}.",
                    remedy="Make room there or set TMPDIR to a larger disk, then materialise the slice again.",
                ) from error
            raise _MemberError("cannot be unpacked", error) from error
        if size <= _IN_MEMORY:
            spool.seek(0)
            data = spool.read()
            yield Member(name, size, lambda: io.BytesIO(data))
        else:
            spool.flush()
            yield Member(name, size, partial(another, spool.fileno()))
        if cut is not None:
            raise _MemberError("cut off", cut)
