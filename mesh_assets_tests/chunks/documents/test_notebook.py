"""Jupyter notebooks: prose under its headings, programs whole, what they printed, pictures as files of their own."""

from __future__ import annotations

import base64
import json

import pytest

from mesh_assets.chunks.protocol import Source
from mesh_assets.errors import FormatError
from mesh_assets.intake.kinds import Detected, detect
from mesh_assets_tests.chunks.documents.documents import parts_of, read, rejects_of, text_of
from mesh_assets_tests.chunks.samples import sample

PROGRAM = "import turbine\n\n\ndef load(path):\n    return turbine.read(path)"


def _code(*outputs: object) -> dict[str, object]:
    return {"cell_type": "code", "source": PROGRAM.splitlines(keepends=True), "outputs": list(outputs)}


def _book(*cells: object) -> str:
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def _shown(**forms: object) -> dict[str, object]:
    return {"output_type": "display_data", "data": {name.replace("_", "/"): form for name, form in forms.items()}}


def test_prose_programs_and_what_they_printed_are_read_in_their_order_with_their_cell() -> None:
    prose = {"cell_type": "markdown", "source": "# Turbines\nWe look\nfor it.\n\n```\n# no heading\n```\nEnd."}
    stream = {"output_type": "stream", "name": "stdout", "text": ["rows 4211\n", "done\n"]}
    pieces = read(_book(prose, _code(stream, _shown(text_plain="<Frame>", text_html="<b>f</b>"))), "ipynb")
    assert text_of(pieces) == (
        f"# Turbines\n\nWe look\nfor it.\n\n# no heading\n\nEnd.\n\n{PROGRAM}\n\nrows 4211\ndone\n\n<Frame>\n\n"
    )
    assert {piece.symbol for piece in pieces} == {"Turbines"}
    assert [piece.place for piece in pieces] == ["cells 1 to 2"]


def test_an_error_is_shown_without_its_colours() -> None:
    error = {
        "output_type": "error",
        "ename": "KeyError",
        "evalue": "'x'",
        "traceback": ["\x1b[0;31mKeyError\x1b[0m: x"],
    }
    assert text_of(read(_book(_code(error)), "ipynb")).endswith("\n\nKeyError: x\n\n")


def test_a_picture_is_a_file_of_its_own_and_a_broken_one_a_reject() -> None:
    picture = base64.encodebytes(sample("photo.png")).decode()
    parts = parts_of(_book(_code(_shown(image_png=picture), _shown(image_png="no picture!"))), "ipynb")
    assert [reject.reason for reject in rejects_of(parts)] == ["broken picture"]
    members = [part.path for part in parts if isinstance(part, Source)]
    assert [path.rpartition("!/")[2] for path in members] == ["cell 1 picture 1.png"]


def test_the_older_layout_is_read() -> None:
    old = {"cell_type": "code", "input": "print(1)", "outputs": [{"output_type": "stream", "text": "1\n"}]}
    cells = [{"cell_type": "heading", "level": 2, "source": "Once"}, old]
    book = json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3})
    assert text_of(read(book, "ipynb")) == "## Once\n\nprint(1)\n\n1\n\n"


@pytest.mark.parametrize(
    ("written", "reason"),
    [('{"rows": []}', "no notebook"), ('{"cells": [{]', "broken ipynb"), ('{"cells": []}', "no text in it")],
)
def test_what_is_no_notebook_says_why(written: str, reason: str) -> None:
    with pytest.raises(FormatError) as raised:
        parts_of(written, "ipynb")
    assert raised.value.reason == reason


def test_a_notebook_is_told_by_its_name() -> None:
    assert detect(_book(_code()).encode(), "study/one.ipynb", whole=True) == Detected("text", "ipynb", "utf-8")
