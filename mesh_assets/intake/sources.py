"""Opens files of a drop without ever leaving it. Every byte that the mesh reads of a drop is read through here.

A drop folder is hostile: a folder may be replaced by a symbolic link between the walk and the read. So each part of a
path is opened relative to its parent and never through a link, and what is opened must be a regular file.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from blake3 import blake3

from mesh_assets.errors import SourceChangedError, SourceError
from mesh_assets.schemas.rejects import printable

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
# The first and last bytes of an extent by which it is told whether it is still there: seconds for thousands of files
# that are appended to. An extent of twice as much is known by all its bytes.
PROBE_BYTES = 256 << 10
READ_BYTES = 1 << 20  # large enough that system calls do not show, small beside any memory limit


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a file from what it was: size in bytes, modification and change time in ns, inode.

    The change time also tells an edit after which the modification time was set back, and a file that may be read now.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """The identity in an answer of `os.stat`."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def open_folder(root: Path, folder: str) -> int:
    """A descriptor of `folder` (`/` between names, `""` for `root` itself) below `root`; the caller closes it.

    `root` may be reached through links (that is the owner's setting) but be none. OSError as of `os.open`.
    """
    descriptor = os.open(root, _FOLDER_FLAGS)
    for name in folder.split("/") if folder else ():
        if name in ("", ".", ".."):
            os.close(descriptor)
            raise NotADirectoryError(folder)
        try:
            inner = os.open(name, _FOLDER_FLAGS, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


@contextmanager
def open_inside(root: Path, path: str) -> Generator[BinaryIO]:
    """The regular file `path` below `root`, unbuffered; SourceError with the reason where it cannot be opened."""
    folder, _, name = path.rpartition("/")
    try:
        parent = open_folder(root, folder)
        try:
            descriptor = os.open(name, _FILE_FLAGS, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise _refused(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(
            "not a regular file", f"{printable(path)} is no regular file.", remedy="Drop a copy of its content."
        )
    with io.FileIO(descriptor) as file:
        yield file


def _refused(path: str, error: OSError) -> SourceError:
    shown = printable(path)
    if isinstance(error, FileNotFoundError):
        return SourceChangedError("vanished", f"{shown} is gone.", remedy="Nothing to do if it was deleted on purpose.")
    if isinstance(error, PermissionError):
        return SourceError(
            "unreadable",
            f"{shown} may not be read by this user.",
            remedy=f"Allow it: chmod u+r {shown!r}, or chown it.",
        )
    return SourceError(
        "unreadable", f"{shown} cannot be opened: {error.strerror}.", remedy="Check the disk and drop the file again."
    )


def identity(file: BinaryIO) -> Identity:
    """The identity of an open file as it is now."""
    return Identity.of(os.fstat(file.fileno()))


def check_identity(file: BinaryIO, path: str, expected: Identity, *, reason: str) -> None:
    """SourceChangedError with `reason` where the open file is not `expected`."""
    if identity(file) != expected:
        raise SourceChangedError(
            reason,
            f"{printable(path)} is not the file that was listed.",
            remedy="Nothing to do: the next walk of the drop area takes it as it is then.",
        )


def has_grown(before: Identity, now: Identity) -> bool:
    """Whether the file may be `before` with something behind it: what only grows keeps its inode."""
    return now.inode == before.inode and now.size > before.size


def probe(file: BinaryIO, path: str, start: int, stop: int) -> str:
    """What tells whether the bytes from `start` to `stop` are still those that were read; errors as `read_range`."""
    hasher = blake3()
    if stop - start <= 2 * PROBE_BYTES:
        spans = [(start, stop)]
    else:
        spans = [(start, start + PROBE_BYTES), (stop - PROBE_BYTES, stop)]
    for first, last in spans:
        for block in read_range(file, path, first, last):
            hasher.update(block)
    return hasher.hexdigest(length=16)


def read_range(file: BinaryIO, path: str, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` up to `stop` in blocks.

    SourceChangedError where the file ends before `stop`, SourceError on an I/O error.
    """
    try:
        file.seek(start)
        left = stop - start
        while left > 0:
            block = file.read(min(READ_BYTES, left))
            if not block:
                raise SourceChangedError(
                    "changed while read",
                    f"{printable(path)} became shorter while it was read.",
                    remedy="Nothing to do: the next walk of the drop area takes it as it is then.",
                )
            left -= len(block)
            yield block
    except OSError as error:
        raise _refused(path, error) from error


# A file up to this size is read, compared and cut from memory, so that no byte can change in between.
WHOLE_FILE_BYTES = 8 << 20


def open_verified(root: Path, path: str, start: int, stop: int, content_hash: str) -> BinaryIO:
    """The bytes `start` to `stop` of a file if they still have `content_hash`, else SourceChangedError.

    A large extent is hashed first and streamed then; SourceChangedError comes at its end if it changed meanwhile. What
    lies behind the extent may change: a log goes on growing while it is read.
    """
    if stop - start <= WHOLE_FILE_BYTES:
        with open_inside(root, path) as file:
            content = b"".join(read_range(file, path, start, stop))
        _check_hash(blake3(content).hexdigest(length=16), content_hash, path)
        return io.BytesIO(content)
    reader = _ExtentReader(root, path, start, stop, content_hash)
    while reader.read(READ_BYTES):
        pass
    reader.rewind()
    return io.BufferedReader(reader, READ_BYTES)


def read_head(root: Path, path: str, size: int, head_hash: str) -> bytes:
    """The first `size` bytes of a file, fewer where it is smaller; SourceChangedError where they have another hash."""
    with open_inside(root, path) as file:
        head = b"".join(read_range(file, path, 0, min(size, identity(file).size)))
    _check_hash(blake3(head).hexdigest(length=16), head_hash, path)
    return head


def _check_hash(found: str, expected: str, path: str) -> None:
    if found != expected:
        raise SourceChangedError(
            "changed since intake",
            f"{printable(path)} is not what intake read.",
            remedy="Nothing to do: the next walk of the drop area takes it as it is then.",
        )


class _ExtentReader(io.RawIOBase):
    """A part of a file as a stream of its own, which notices at its end that the bytes were not those expected."""

    def __init__(self, root: Path, path: str, start: int, stop: int, content_hash: str) -> None:
        self._path, self._start, self._stop = path, start, stop
        self._content_hash = content_hash
        self._opened = open_inside(root, path)
        self._file = self._opened.__enter__()
        self.rewind()

    def rewind(self) -> None:
        """Go back to the start of the extent."""
        self._hasher = blake3()
        self._position = self._file.seek(self._start)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        """The open file itself: all of it, wherever the extent lies, and without looking at what is read."""
        return self._file.fileno()

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        block = self._file.read(min(len(view), self._stop - self._position))
        if not block:
            _check_hash(self._hasher.hexdigest(length=16), self._content_hash, self._path)
        self._hasher.update(block)
        view[: len(block)] = block
        self._position += len(block)
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._opened.__exit__(None, None, None)
        super().close()
