"""What an owner sets wrongly is said in words: which variable, what it is, what it may be."""

from __future__ import annotations

import pytest

from mesh_assets.errors import SettingsError
from mesh_assets.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TECHNIQUES", "foo", "MESH_TECHNIQUES: it is 'foo'; give some of surface deep expert research"),
        ("TECHNIQUES", "off deep", "MESH_TECHNIQUES: it is 'off deep'"),
        ("TECHNIQUES", "", "MESH_TECHNIQUES: it is ''"),
        ("HOURS", "foo", "MESH_HOURS: 'foo' is no window"),
    ],
)
def test_a_wrong_value_is_said_in_words(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(f"MESH_{name}", value)
    with pytest.raises(SettingsError) as failed:
        load_settings()
    assert said in str(failed.value)


@pytest.mark.parametrize(
    ("techniques", "depths"),
    [("off", set[str]()), ("deep", {"deep"}), ("expert research", {"expert", "research"})],
)
def test_techniques_are_for_the_depths_that_are_named(
    monkeypatch: pytest.MonkeyPatch, techniques: str, depths: set[str]
) -> None:
    monkeypatch.setenv("MESH_TECHNIQUES", techniques)
    assert load_settings().technique_depths == depths
