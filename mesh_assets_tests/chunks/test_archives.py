"""Archives are opened as folders, and nothing in them can leave its place or use up the machine."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.chunks import archives, confined
from mesh_assets.chunks.archives import ArchiveChunker
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.errors import FormatError, SourceError
from mesh_assets.intake.kinds import detect
from mesh_assets.schemas.rejects import Reject
from mesh_assets_tests.chunks.sources import source


@pytest.fixture(autouse=True, scope="module")
def in_the_child() -> Iterator[None]:
    """Archives are read in a child, and what is in them with them."""
    confined.is_child = True
    yield
    confined.is_child = False


FILES = {
    "a/read.md": b"# Whales\n\nThey sing.\n",
    "b/rows.csv": b"id,name\n1,x\n2,y\n",
    "mod.py": b"def f():\n    return 1\n",
}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)


def unpacked(data: bytes, path: str = "in.zip") -> tuple[dict[str, tuple[str, bytes]], list[Reject]]:
    """What the chunker found: kind and content of each member, and rejects."""
    found = detect(data[:65536], path, whole=True)
    return _gathered(ArchiveChunker().chunk(source(data, found.kind, found.format, path=path), chunk_tokens=64))


def _gathered(parts: Iterator[object]) -> tuple[dict[str, tuple[str, bytes]], list[Reject]]:
    members: dict[str, tuple[str, bytes]] = {}
    rejects: list[Reject] = []
    path = ""
    for part in parts:
        if isinstance(part, Source):
            path = part.path
            assert path not in members
            members[path] = (part.kind, b"")
        elif isinstance(part, Piece):
            kind, before = members[path]
            assert part.byte_start == len(before)
            members[path] = (kind, before + part.text.encode("utf-8", "surrogateescape"))
        elif isinstance(part, Reject):
            assert part.is_part
            rejects.append(part)
    return members, rejects


MADE = {
    "zip": zipped(FILES),
    "tar": tarred(FILES),
    "tar.gz": gzip.compress(tarred(FILES)),
    "tar.bz2": bz2.compress(tarred(FILES)),
    "tar.xz": lzma.compress(tarred(FILES)),
    "tar.zst": zstd(tarred(FILES)),
}


@pytest.mark.parametrize("form", MADE)
def test_each_file_is_chunked_as_if_it_lay_in_a_folder(form: str) -> None:
    members, rejects = unpacked(MADE[form], f"x/old.{form}")
    kinds = ("text", "structured", "code")
    expected = {f"x/old.{form}!/{n}": (k, data) for (n, data), k in zip(FILES.items(), kinds, strict=True)}
    assert (members, rejects) == (expected, [])


def test_one_compressed_file_has_its_name_without_the_ending() -> None:
    log = b"".join(b"2026-11-22 10:%02d:00 INFO served\n" % n for n in range(60))
    for pack, ending in ((gzip.compress, "gz"), (bz2.compress, "bz2"), (lzma.compress, "xz"), (zstd, "zst")):
        members, _ = unpacked(pack(log), f"var/app.log.{ending}")
        assert members == {f"var/app.log.{ending}!/app.log": ("log", log)}


@pytest.mark.parametrize(("pack", "ending"), [(gzip.compress, "gz"), (lzma.compress, "xz")])
def test_of_a_compressed_file_that_is_cut_off_what_is_there_is_read(
    pack: Callable[[bytes], bytes], ending: str
) -> None:
    log = b"".join(b"2026-11-22 10:40:01 INFO served %s\n" % os.urandom(9).hex().encode() for _ in range(4_000))
    packed = pack(log)
    members, (reject,) = unpacked(packed[: len(packed) // 2], f"app.log.{ending}")
    ((path, (kind, data)),) = members.items()
    assert (path, kind) == (f"app.log.{ending}!/app.log", "log")
    assert len(data) > len(log) // 3
    assert log.startswith(data)
    assert (reject.path, reject.reason) == (path, "cut off")


@pytest.mark.parametrize("cut", [1536, 1700])
def test_a_tar_that_is_cut_off_between_its_files_says_so(cut: int) -> None:
    data = tarred({"a.md": b"# a\n" * 200, "b.md": b"# b\n"})
    parts = ArchiveChunker().chunk(source(data[:cut], "unknown", "tar", path="t.tar"), chunk_tokens=64)
    assert isinstance(next(parts), Source)
    with pytest.raises(FormatError, match="cut off"):
        list(parts)


def test_archives_in_archives_are_opened_but_not_for_ever() -> None:
    data = zipped(FILES)
    for depth in range(2, 8):
        data = zipped({f"{depth}.zip": data})
    members, (reject,) = unpacked(data)
    assert reject.reason == "too deep"
    assert all(kind == "unknown" for kind, _ in members.values())
    once, rejects = unpacked(zipped({"in.zip": zipped(FILES)}))
    assert once["in.zip!/in.zip!/mod.py"] == ("code", FILES["mod.py"])
    assert rejects == []


@pytest.mark.parametrize("form", ["zip", "gz", "nested"])
def test_what_unpacks_to_far_more_than_it_is_ends_with_a_reason(form: str) -> None:
    zeros = bytes(80 << 20)
    data = {
        "zip": lambda: zipped({"zeros": zeros}),
        "gz": lambda: gzip.compress(zeros, 1),
        "nested": lambda: zipped({f"{n}.gz": gzip.compress(zeros[: 20 << 20], 1) for n in range(5)}),
    }[form]()
    # All that is in one file shares its room, so that five of 20 MiB are too much as well.
    with pytest.raises(FormatError, match="200 times"):
        unpacked(data)


def test_names_and_links_lead_nowhere() -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in ("../../etc/cron.d/evil.txt", "/abs/file.txt", "a\\b\\c.txt"):
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"text\n"))
        link = tarfile.TarInfo("passwd.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    members, (reject,) = unpacked(content.getvalue(), "t.tar")
    assert list(members) == ["t.tar!/etc/cron.d/evil.txt", "t.tar!/abs/file.txt", "t.tar!/a/b/c.txt"]
    assert (reject.path, reject.reason) == ("t.tar!/passwd.txt", "a link")


def test_two_files_of_one_name_are_two_files() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.md", "# one\n")
        archive.writestr("a.md", "# two\n")
    members, _ = unpacked(content.getvalue())
    assert {path: data for path, (_, data) in members.items()} == {
        "in.zip!/a.md": b"# one\n",
        "in.zip!/a (2).md": b"# two\n",
    }


def test_a_damaged_or_secret_member_is_a_reject_and_the_others_go_on() -> None:
    data = bytearray(zipped({"bad.md": b"# Bad" + os.urandom(99), **FILES}, zipfile.ZIP_STORED))
    data[60] ^= 255  # its checksum no longer fits
    members, (reject,) = unpacked(bytes(data))
    assert (reject.path, reject.reason) == ("in.zip!/bad.md", "cannot be unpacked")
    assert len(members) == len(FILES)
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02", 0, data.find(b"PK\x01\x02") + 4) + 8] |= 1
    _, (reject,) = unpacked(bytes(data))
    assert reject.reason == "encrypted"


def test_more_files_than_can_be_counted_are_one_reject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    members, (reject,) = unpacked(MADE["zip"])
    assert (len(members), reject.reason) == (2, "too many files in it")


@given(st.sampled_from(sorted(MADE)), st.integers(0, 2000), st.binary(max_size=40), st.booleans())
def test_any_damage_gives_members_rejects_or_a_reason(form: str, at: int, patch: bytes, cut: bool) -> None:
    data = MADE[form]
    data = data[:at] + patch + (b"" if cut else data[at + len(patch) :])
    try:
        unpacked(data, f"x.{form}")
    except SourceError as error:
        assert error.reason
        assert error.remedy
