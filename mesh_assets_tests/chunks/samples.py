"""A small file of each format, made by the library that people make it with."""

from __future__ import annotations

import io
import sqlite3
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HTML = (
    "<html><head><title>Whales</title></head><body><h1>Whales</h1><p>They sing.</p>"
    "<table><tr><th>name</th><th>length</th></tr><tr><td>blue</td><td>30</td></tr></table></body></html>"
)


def _docx() -> bytes:
    import docx

    document = docx.Document()
    document.add_heading("Whales", 1)
    document.add_paragraph("They sing.")
    table = document.add_table(2, 2)
    for row, texts in enumerate((("name", "length"), ("blue", "30"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    return _saved(document.save)


def _pptx() -> bytes:
    import pptx

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Whales"
    slide.placeholders[1].text = "They sing."
    return _saved(deck.save)


def _xlsx() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (("name", "length"), ("blue", 30), ("fin", 27)):
        book.active.append(row)
    return _saved(book.save)


def _epub() -> bytes:
    container = (
        '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Whales</dc:title></metadata>'
        '<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        for name, text in (("META-INF/container.xml", container), ("c.opf", package), ("a.xhtml", HTML)):
            archive.writestr(name, text)
    return content.getvalue()


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text a page."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>"]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects.append(f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>")
    objects.append("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    for number, text in enumerate(pages):
        stream = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET"
        page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
        page += f"/Contents {5 + 2 * number} 0 R>>"
        objects += [page, f"<</Length {len(stream)}>>stream\n{stream}\nendstream"]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer<</Size {len(objects) + 1}/Root 1 0 R>>"
    return data + f"{end}\nstartxref\n{len(data)}\n%%EOF\n".encode()


def _image(form: str) -> Callable[[], bytes]:
    def make() -> bytes:
        from PIL import Image

        picture = Image.radial_gradient("L").resize((48, 32)).convert("RGB")
        return _saved(lambda file: picture.save(file, form))

    return make


def _wav() -> bytes:
    import wave

    import numpy as np

    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((9000 * np.sin(np.arange(8000) / 5)).astype("<i2").tobytes())
    return content.getvalue()


def _mp4() -> bytes:
    import av
    import numpy as np

    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 25 * number, np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return content.getvalue()


def _table() -> pa.Table:
    return pa.table({"id": [1, 2, 3], "name": ["a", "b", None], "parts": [[1], [], [2, 3]]})


def _parquet() -> bytes:
    return _saved(lambda file: pq.write_table(_table(), file))


def _arrow() -> bytes:
    content = io.BytesIO()
    with pa.ipc.new_file(content, _table().schema) as writer:
        writer.write_table(_table())
    return content.getvalue()


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE whales (name TEXT, length REAL)")
        database.executemany("INSERT INTO whales VALUES (?, ?)", [("blue", 30), ("fin", 27)])
        database.commit()
        return database.serialize()


def _email() -> bytes:
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "Whales"
    message.set_content("They sing.\n")
    message.add_attachment(b"# Attached\n\nwords\n", maintype="text", subtype="markdown", filename="notes.md")
    return bytes(message)


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/read.md", "# Whales\n\nThey sing.\n")
        archive.writestr("deck.pptx", _pptx())
    return content.getvalue()


def _saved(save: Callable[[Any], object]) -> bytes:
    content = io.BytesIO()
    save(content)
    return content.getvalue()


_MAKE: dict[str, Callable[[], bytes]] = {
    "page.html": HTML.encode,
    "paper.pdf": lambda: pdf("Whales sing", "and swim"),
    "letter.docx": _docx,
    "deck.pptx": _pptx,
    "book.epub": _epub,
    "mail.eml": _email,
    "memo.rtf": lambda: rb"{\rtf1\ansi {\b Whales} sing.\par}",
    "study.ipynb": b'{"cells": [{"cell_type": "markdown", "source": ["# Study\\n", "Whales sing."]}]}'.strip,
    "sheet.xlsx": _xlsx,
    "rows.parquet": _parquet,
    "rows.arrow": _arrow,
    "whales.sqlite": _sqlite,
    "whales.xml": b"<whales><whale><name>blue</name></whale><whale><name>fin</name></whale></whales>".strip,
    "photo.png": _image("PNG"),
    "photo.jpg": _image("JPEG"),
    "photo.gif": _image("GIF"),
    "photo.tif": _image("TIFF"),
    "photo.webp": _image("WEBP"),
    "tone.wav": _wav,
    "clip.mp4": _mp4,
    "old.zip": _zip,
    "rows.csv": b"id,name\n1,blue\n2,fin\n".strip,
    "rows.jsonl": b'{"id": 1}\n{"id": 2}\n'.strip,
    "rows.json": b'{"whales": [{"id": 1}, {"id": 2}]}'.strip,
    "page.prom": b'# TYPE up gauge\nup{job="a"} 1 1700000000000\n'.strip,
    "points.lp": b"cpu,host=a load=0.5 1700000000000000000\ncpu,host=b load=1 1700000000000000000\n".strip,
    "export.json": (
        b'{"resourceMetrics": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "a"}}]}, '
        b'"scopeMetrics": [{"metrics": [{"name": "up", "gauge": {"dataPoints": [{"asInt": "1"}]}}]}]}]}'
    ).strip,
    "app.log": b"2026-11-22 10:40:01 INFO up\n2026-11-22 10:40:02 ERROR down\n".strip,
    "mod.py": b"def f():\n    return 1\n".strip,
    "mod.js": b"function f() {\n  return 1;\n}\n".strip,
    "mod.cpp": b"int f() {\n  return 1;\n}\n".strip,
    "read.md": b"# Whales\n\nThey sing.\n".strip,
}
SAMPLES = tuple(_MAKE)


@cache
def sample(name: str) -> bytes:
    """The file called `name`, one of `SAMPLES`."""
    return _MAKE[name]()
