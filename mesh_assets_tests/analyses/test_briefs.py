"""Briefs: the shipped ones are sound, the owner's are laid over them, and what is wrong is said with file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_assets.analyses.briefs import Brief, briefs_digest, read_briefs
from mesh_assets.errors import SettingsError
from mesh_assets.mesh.extractive import extract
from mesh_assets.mesh.json_schema import check_schema
from mesh_assets.mesh.prompts import request_of
from mesh_assets.mesh.replies import read_reply
from mesh_assets.mesh.shapes import Case, Evidence
from mesh_assets.settings import SHIPPED_BRIEFS

SHIPPED = read_briefs(SHIPPED_BRIEFS, Path("/nowhere"))


def test_the_shipped_briefs_ask_about_every_kind_of_data() -> None:
    assert {brief.name for brief in SHIPPED} == {
        *("system", "code_risks", "incidents", "tables", "documents", "media"),
    }
    asked = {kind for brief in SHIPPED for kind in brief.kinds}
    assert asked == {"text", "code", "image", "audio", "video", "structured", "log", "metric"}


@pytest.mark.parametrize("brief", SHIPPED, ids=lambda brief: brief.name)
def test_the_local_answerer_has_the_form_that_each_asks_for(brief: Brief) -> None:
    check_schema(brief.schema)
    case = Case("d", brief.asked("the shop"), (Evidence("E1", "The shop was closed."),), brief.schema)
    completion = extract(request_of(case, max_tokens=100))
    assert not read_reply(completion.text, completion.finish, brief.schema).rejected


def test_a_file_of_the_owner_is_laid_over_the_shipped_one_field_by_field(tmp_path: Path) -> None:
    (tmp_path / "incidents.yaml").write_text("cases: 2\n")
    (tmp_path / "media.yaml").write_text("disabled: true\n")
    (tmp_path / "money.yaml").write_text(
        "question: What does this cost us each month?\naudience: the owner\n"
        "kinds: [structured]\nabout: [table_profile]\n"
    )
    by_name = {brief.name: brief for brief in read_briefs(SHIPPED_BRIEFS, tmp_path)}
    before = {brief.name: brief for brief in SHIPPED}
    assert by_name["incidents"].cases == 2
    assert by_name["incidents"].question == before["incidents"].question
    assert by_name["incidents"].version == before["incidents"].version  # no case changes for it
    assert "media" not in by_name
    assert by_name["money"].question == "What does this cost us each month?"
    assert briefs_digest(list(by_name.values())) != briefs_digest(SHIPPED)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question: [", "cannot be read"),
        ("- a list", "has no fields"),
        ("shares: 0.5", "shares"),
        ("share: 2", "share"),
        ("kinds: [logs]", "kinds"),
        ("question: 'What about {path} here?'", "only {title}"),
        ("evidence: {facts: [nonsense]}", "no such facts: nonsense"),
        ("aspects: ['Upper Case']", "aspects"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "incidents.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"incidents\.yaml") as raised:
        read_briefs(SHIPPED_BRIEFS, tmp_path)
    assert said in raised.value.message
    assert "README" in raised.value.remedy


def test_a_brief_without_a_question_is_none(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("audience: me\n")
    with pytest.raises(SettingsError, match="question"):
        read_briefs(SHIPPED_BRIEFS, tmp_path)
