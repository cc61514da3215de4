"""Kinds are found by content first, and by name only where the content does not tell."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_assets.intake.kinds import detect

LOG = "\n".join(f"2026-11-22 10:4{n % 10}:01,123 INFO  worker: job {n} done" for n in range(20))
TRACE = '2026-11-22 10:40:01 ERROR x\nTraceback (most recent call last):\n  File "a.py", line 1\nValueError: y\n' * 5
TABLE = "id,name,price\n" + "\n".join(f"{n},item {n},{n}.50" for n in range(20))
SERIES = "timestamp,value\n" + "\n".join(f"2026-11-22 10:{n:02d}:00,{n}.5" for n in range(20))


@pytest.mark.parametrize(
    ("content", "path", "kind", "form"),
    [
        (LOG, "notes.txt", "log", "log"),
        (TRACE, "out", "log", "log"),
        ("Nov 22 10:40:01 host sshd[1]: accepted\nNov 22 10:40:02 host sshd[1]: closed\n", "messages", "log", "log"),
        (TABLE, "prices.txt", "structured", "csv"),
        (TABLE.replace(",", "\t"), "x", "structured", "tsv"),
        (SERIES, "cpu.csv", "metric", "csv"),
        (SERIES, "cpu.txt", "metric", "csv"),
        (SERIES.partition("\n")[2], "cpu", "metric", "csv"),
        ("id\trate\n" + "".join(f"{n}\t.{n}\n" for n in range(9)), "x", "structured", "tsv"),
        ("EventId,EventTemplate\n" + "".join(f"E{n},sent <*> to <*>\n" for n in range(9)), "x", "structured", "csv"),
        ("We came, we saw\nI went, he stayed\n" * 5, "poem", "text", "plain"),
        ("| a | b |\n| --- | --- |\n| 1 | 2 |\n", "x", "text", "plain"),
        ("- 1117838570 2005.06.03 R02 RAS KERNEL INFO parity error\n" * 5, "bgl", "log", "log"),
        ("134681 node-246 unix.hw state 1077804742 1 Component change\n" * 5, "hpc", "log", "log"),
        ("Call us at 1077804742 today\nor write a letter\nor come by\n", "ad", "text", "plain"),
        ('{"a": 1}\n{"a": 2}\n', "events.txt", "structured", "jsonl"),
        ('[\n {"at": "2026-11-22 10:40:01"},\n {"at": 2}\n]\n', "x", "structured", "json"),
        ("[2026-11-22 10:40:01] up\n[2026-11-22 10:40:02] down\n", "x", "log", "log"),
        ('{\n "a": ["2026-11-22 10:40:01", 2]\n}\n', "labels.json", "structured", "json"),
        ("# Title\n\nText, with commas, in each line.\n", "readme.md", "text", "markdown"),
        ("import os\n\nprint(os)\n", "a.py", "code", "python"),
        ("#!/usr/bin/env python3\nprint(1)\n", "tool", "code", "python"),
        ("#!/bin/sh\necho\n", "run", "code", "shell"),
        ("#!/usr/bin/env -S deno run\nlog(1)\n", "run", "code", "typescript"),
        ("#!/usr/bin/lua5.4\nprint(1)\n", "run", "code", "lua"),
        ("class A {}\n", "A.cs", "code", "csharp"),
        ("fun a() = 1\n", "build.gradle.kts", "code", "kotlin"),
        ("task :a\n", "Rakefile", "code", "ruby"),
        ("f = 1\n", "Main.hs", "code", "haskell"),
        ("<!DOCTYPE html><html></html>", "page", "text", "html"),
        ("A letter.\n\nIt has two paragraphs.\n", "letter.txt", "text", "plain"),
        ("\ufeffHello, world.\n", "bom.txt", "text", "plain"),
        ("BMW and ID3 are words.\n", "cars.txt", "text", "plain"),
        ("the new WAVE of ftyp and RIFF\n", "x", "text", "plain"),
        ("Good " * 200, "x", "text", "plain"),
        ("<svg xmlns='x'>\n <text>1,2</text>\n</svg>\n", "x", "image", "svg"),
        ('<?xml version="1.0"?>\n<!-- by hand -->\n<svg width="1"/>\n', "a.xml", "image", "svg"),
        ("<!---->" * 2000, "x", "text", "plain"),
    ],
)
def test_text(content: str, path: str, kind: str, form: str) -> None:
    found = detect(content.encode(), path, whole=True)
    assert (found.kind, found.format, found.encoding) == (kind, form, "utf-8")


POINTS = "".join(f"cpu,host=h{n % 3} load={n}.5,busy=t {1_700_000_000 + n}000000000\n" for n in range(20))
SAMPLES = "".join(f'up{{host="h{n}"}} {n % 2} 1700000000000\n' for n in range(20))
EXPORT = '{"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": []}]}]}'


@pytest.mark.parametrize(
    ("content", "path", "form"),
    [
        (SAMPLES, "x", "prometheus"),
        ("# HELP up Whether.\n# TYPE up gauge\nup 1\n", "metrics.txt", "prometheus"),
        ("\ufeff# TYPE up gauge\r\nup 1\r\nnot a sample\r\n", "x", "prometheus"),
        ("# TYPE foo counter\nfoo_total 17 1700000000.5\n# EOF\n", "x", "prometheus"),
        ("up 1\ndown 0\n", "node.prom", "prometheus"),
        (POINTS, "x", "influx"),
        (POINTS, "cpu.csv", "influx"),
        (POINTS[: POINTS.index("\n")], "x", "influx"),
        ("# by hand\n" + POINTS + "no point\n" + POINTS, "cpu.txt", "influx"),
        ("cpu load=1\nmem free=2i\n", "x.lp", "influx"),
        (POINTS.replace("busy=t", 'said="a\n\nb"'), "x", "influx"),
        (EXPORT, "x", "otlp"),
        (EXPORT, "x.json", "otlp"),
        (f"{EXPORT}\n" * 3, "x.jsonl", "otlp"),
        (f"{EXPORT[20:]}\n" + f"{EXPORT}\n" * 3, "x", "otlp"),
        ('{\n "resource": {\n  "attributes": []\n },\n "scopeMetrics": [\n ]\n}\n', "x", "otlp"),
    ],
)
def test_metrics(content: str, path: str, form: str) -> None:
    found = detect(content.encode(), path, whole=True)
    assert (found.kind, found.format) == ("metric", form)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ("the 120\nof 99\nand 70\n" * 5, "words"),
        ("export A=1\nexport B=2\nexport C=3\n", "env"),
        ("level=info msg=hello took=5\n" * 5, "x"),
        ("set a=1, b=2\nset c=3, d=4\n", "x"),
        ("a,b=1 c=2 said she\n" * 3, "x"),
        ("struct { int a; } 1\nb { c }\n", "x"),
        ('{"a": {"resourceMetrics": []}}', "x"),
        ('{"resource": "a", "b": [1]}\n{"resource": "b"}\n', "x"),
        ("# TYPE of thing\n\nWords, and more of them.\n", "x"),
        ("# TYPE up gauge\n\nSo one writes it.\nAnd\nup 1\nis a sample.\n", "x"),
        (SAMPLES, "x.py"),
    ],
)
def test_what_looks_like_metrics_and_is_none(content: str, path: str) -> None:
    assert detect(content.encode(), path, whole=True).kind != "metric"


@pytest.mark.parametrize(
    ("content", "path", "kind", "form"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "photo.txt", "image", "png"),
        (b"%PDF-1.7\nplain text follows", "a.txt", "text", "pdf"),
        (b"PAR1" + bytes(20), "x", "structured", "parquet"),
        (b"PK\x03\x04" + bytes(20), "a.docx", "text", "docx"),
        (b"PK\x03\x04" + bytes(20), "a.bin", "unknown", "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), "x", "text", "doc"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(20), "a.xls", "structured", "xls"),
        (bytes(257) + b"ustar\x0000", "a", "unknown", "tar"),
        (b"RIFF\0\0\0\0WAVEfmt ", "s", "audio", "wav"),
        (b"\0\1\2\3" * 10, "x.txt", "unknown", "binary"),
    ],
)
def test_binary(content: bytes, path: str, kind: str, form: str) -> None:
    found = detect(content, path, whole=True)
    assert (found.kind, found.format, found.encoding) == (kind, form, None)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_text_with_and_without_its_mark(codec: str) -> None:
    found = detect("An ordinary sentence.\n".encode(codec), "a.txt", whole=True)
    assert (found.kind, found.format) == ("text", "plain")
    assert found.encoding in ("utf-16-le", "utf-16-be")


@pytest.mark.parametrize("codec", ["utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["An ordinary sentence.\n", "Привет, 東京 und 🦦.\n"])
def test_utf32_is_text_with_and_without_its_mark(codec: str, text: str) -> None:
    found = detect(text.encode(codec), "a.txt", whole=True)
    assert (found.kind, found.format) == ("text", "plain")
    assert found.encoding == (codec if "-" in codec[4:] else "utf-32-le")


def test_whole_numbers_of_four_bytes_are_no_text() -> None:
    numbers = b"".join(n.to_bytes(4, "little") for n in range(1, 4000))
    assert detect(numbers, "a.bin", whole=True).encoding is None


def test_western_text_that_is_not_utf8_is_still_text() -> None:
    assert detect("Café crème, déjà vu\n".encode("cp1252"), "a.txt", whole=True).encoding == "cp1252"


@pytest.mark.parametrize(
    ("text", "codecs"),
    [
        ("Утром сервер базы данных перестал отвечать на запросы.\n", ("cp1251", "koi8_r", "iso8859_5", "cp866")),
        ("本日の午前、データベースサーバーが応答しなくなりました。\n", ("cp932", "euc_jp")),
        ("今天早上，数据库服务器停止响应请求，磁盘已满。\n", ("gb18030",)),
        ("오늘 아침 데이터베이스 서버가 요청에 응답하지 않았습니다.\n", ("cp949",)),
        ("Heute früh hörte der Server auf, äußerst ärgerlich.\n", ("cp1252",)),
    ],
)
@pytest.mark.parametrize("times", [1, 400])
def test_text_from_before_unicode_is_read_in_its_own_script(text: str, codecs: tuple[str, ...], times: int) -> None:
    for codec in codecs:
        sample = (text * times).encode(codec)[:15_001]
        found = detect(sample, "letter.txt", whole=times == 1)
        assert found.kind == "text"
        assert sample.decode(found.encoding or "", "ignore") == sample.decode(codec, "ignore"), (codec, found)


def test_zeros_that_a_crash_left_in_a_log_do_not_make_it_binary() -> None:
    line = b"2026-11-22 10:42:01 ERROR disk full\n"
    assert detect(line * 50 + bytes(100) + line * 3, "app.log", whole=True).kind == "log"
    assert detect(line + bytes(100), "app.log", whole=True).encoding is None
    assert detect(b"\x01\x02" * 500 + b"\0", "a.dat", whole=True).encoding is None


def test_a_character_cut_by_the_sample_does_not_make_it_binary() -> None:
    assert detect("naïve é".encode()[:-1], "a.txt", whole=False).encoding == "utf-8"


@given(st.binary(max_size=300), st.text(max_size=20), st.booleans())
def test_any_bytes_have_a_kind_and_their_codec_exists(sample: bytes, path: str, whole: bool) -> None:
    found = detect(sample, path, whole=whole)
    if found.encoding:
        sample.decode(found.encoding, "surrogateescape" if found.encoding == "utf-8" else "replace")


def test_json_is_told_from_its_first_part_alone() -> None:
    content = ("[" + ",\n".join(f'{{"name": "item {n}", "at": "2026-11-22 10:40:01"}}' for n in range(2000))).encode()
    assert detect(content[:65536], "x", whole=False).format == "json"
    assert detect(content[:30000] + b"no" + content[30000:65536], "x", whole=False).format != "json"
    assert detect(b"[" * 65536, "x", whole=False).kind
    assert detect(b'{"n": ' + b"9" * 65530, "x", whole=False).format == "json"


def _frame(size: int, head: bytes) -> bytes:
    return head + bytes(size - len(head))


@pytest.mark.parametrize(
    ("content", "kind", "form"),
    [
        (_frame(417, b"\xff\xfb\x90\x00") * 2, "audio", "mp3"),
        (_frame(417, b"\xff\xfb\x90\x00") + b"no frame", "unknown", "binary"),
        (b"ID3\x04\0\0\0\0\0\x02ab" + _frame(417, b"\xff\xfb\x90\x00") * 2, "audio", "mp3"),
        (b"ID3\x04\0\0\0\0\0\x02abfLaC", "audio", "flac"),
        (_frame(64, b"\xff\xf1\x50\x80\x08\x00") * 2, "audio", "aac"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0isomM4A ", "audio", "m4a"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image", "heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "image", "avif"),
        (b"\0\0\0\x14ftypavif\0\0\0\0avif", "image", "avif"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video", "mov"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video", "mov"),
        (b"\0\0\0\x14ftyp3gp5\0\0\0\0isom", "video", "3gp"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavif", "video", "mp4"),
        (b"\x1aE\xdf\xa3\x9fB\x82\x84webm" + bytes(9) + b"V_VP9", "video", "webm"),
        (b"\x1aE\xdf\xa3\x9fB\x82\x88matroska" + bytes(9) + b"V_AV1 A_OPUS", "video", "matroska"),
        (b"\x1aE\xdf\xa3\x9fB\x82\x88matroska" + bytes(9) + b"A_OPUS", "audio", "matroska"),
        (b"OggS" + bytes(24) + b"OpusHead", "audio", "opus"),
        (b"OggS" + bytes(24) + b"\x01vorbis", "audio", "ogg"),
        (b"OggS" + bytes(24) + b"\x80theora", "video", "ogg"),
        (b"II+\0\x08\0\0\0", "image", "tiff"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image", "webp"),
        (b"RIFF\0\0\0\0AVI LIST", "video", "avi"),
        (b"BM\x9a\0\0\0\0\0\0\0\x36\0", "image", "bmp"),
        (_frame(188, b"G\x40\0\x10") * 4, "video", "mpegts"),
        (b"FLV\x01\x05\0\0\0\x09", "video", "flv"),
        (b"\0\0\x01\xba\x21", "video", "mpeg"),
        (b"\0\0\x01\0\x01\0\x10\x10", "image", "ico"),
        (b"8BPS\0\x01" + bytes(6), "image", "psd"),
        (b"FORM\0\0\0\0AIFFCOMM", "audio", "aiff"),
    ],
)
def test_media_are_told_by_what_they_contain(content: bytes, kind: str, form: str) -> None:
    found = detect(content, "file", whole=True)
    assert (found.kind, found.format, found.encoding) == (kind, form, None)


def _zip(**parts: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/"), content)
    return written.getvalue()


@pytest.mark.parametrize(
    ("sample", "kind", "form"),
    [
        (_zip(**{"[Content_Types].xml": "<x/>", "word__document.xml": "<w/>"}), "text", "docx"),
        (_zip(**{"_rels__.rels": "<x/>", "docProps__app.xml": "<x/>", "ppt__slides__a.xml": "<p/>"}), "text", "pptx"),
        (_zip(**{"[Content_Types].xml": "<x/>", "xl__workbook.xml": "<w/>"}), "structured", "xlsx"),
        (_zip(mimetype="application/epub+zip", a="b"), "text", "epub"),
        (_zip(mimetype="application/vnd.oasis.opendocument.text", a="b"), "text", "odt"),
        (_zip(mimetype="application/vnd.oasis.opendocument.spreadsheet", a="b"), "structured", "ods"),
        (_zip(word__notes="a folder that is called word"), "unknown", "zip"),
        (_zip(a="mimetype", mimetype="application/epub+zip"), "unknown", "zip"),
    ],
)
def test_a_document_that_is_an_archive_is_told_by_what_is_in_it(sample: bytes, kind: str, form: str) -> None:
    for path in ("download", "renamed.zip", "renamed.jar"):
        found = detect(sample, path, whole=True)
        assert (found.kind, found.format) == (kind, form)


def test_the_name_tells_an_archive_whose_sample_does_not() -> None:
    sample = _zip(**{"[Content_Types].xml": "<x/>", "docProps__app.xml": "<x/>"})
    assert detect(sample, "a.docx", whole=False).format == "docx"
    assert detect(sample, "a", whole=False).format == "zip"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Received: from a by b;\n\tMon, 2 Nov 2026 10:00:00 +0100\nFrom: a@b\n\nHello, Ben\n", "email"),
        ("From: Ann\nSubject: x\nMIME-Version: 1.0\n\nHello\n", "email"),
        ("From: Ann\nSubject: a letter without the marks of mail\n\nHello\n", "plain"),
        ('<?xml version="1.0"?>\n<!DOCTYPE html>\n<html><body>x</body></html>\n', "html"),
        ('<?xml version="1.0"?>\n<note>x</note>\n', "xml"),
    ],
)
def test_mail_and_pages_are_told_without_their_names(text: str, form: str) -> None:
    assert detect(text.encode(), "download", whole=True).format == form
