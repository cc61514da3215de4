"""`mesh audit`: what a person learns of what left the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mesh_assets.cli import audit
from mesh_assets.mesh.protocol import Reason, Sent
from mesh_assets.resources.call_log import connect_call_log
from mesh_assets_tests.cli.command import mesh
from mesh_assets_tests.flow.location import Location

BODY = b'{"messages": [{"content": "\xe2\x82\xac [EMAIL_1]"}]}'
NOON = 1_795_867_200.0  # 2026-11-28 12:00 UTC


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    location = Location(tmp_path_factory.mktemp("audit"), {})
    yield location
    location.instance.dispose()


@pytest.fixture(scope="module", autouse=True)
def nothing_yet(location: Location) -> None:
    assert "Nothing left" in mesh(location, "audit").stdout
    log = connect_call_log(location.settings)
    for name, dataset, at in (("aa11", "shop", NOON), ("bb22", "logs", NOON - 86_400)):
        reasons = tuple(Reason(f"case{number}", "deep", "incidents-3", "t") for number in range(len(dataset) - 3))
        log.sending(Sent(name, at, "[red]far[/]", "m-1", "https://far.example/v1", dataset, "", reasons, BODY))


def listed(location: Location, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(mesh(location, "audit", "--json", *arguments).stdout)


def test_it_says_to_whom_when_and_why(location: Location) -> None:
    said = mesh(location, "audit").stdout
    assert "[red]far[/] (m-1)" in said
    assert "case case0, deep, brief incidents-3" in said
    assert f"2 requests, {2 * len(BODY)} bytes, redacted: [red]far[/] 2." in said
    first, second = listed(location)
    assert (first["id"], second["id"]) == ("bb22", "aa11"), "oldest first"
    assert second["at"] == "2026-11-28T12:00:00.000+00:00"
    assert second["cases"][0] == {"case_id": "case0", "depth": "deep", "brief": "incidents-3", "attempt": "t"}
    assert second["bytes"] == len(BODY)


def test_it_can_be_asked_for_a_dataset_and_since_when(location: Location) -> None:
    assert [each["id"] for each in listed(location, "--dataset", "shop")] == ["aa11"]
    assert [each["id"] for each in listed(location, "--since", "2026-11-28")] == ["aa11"]
    assert [each["id"] for each in listed(location, "--since", "2026-11-28T13:00:00+02:00")] == ["aa11"]
    assert listed(location, "--since", "2126-01-01") == []
    assert len(listed(location, "--since", "999999d")) == 2
    assert "is no moment" in mesh(location, "audit", "--since", "soon", expect=1).stderr


def test_the_bytes_of_one_are_printed_as_they_went(
    location: Location, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_STATE", str(location.settings.state))
    audit.show("aa")
    assert capfdbinary.readouterr().out == BODY
    assert "No request that left" in mesh(location, "audit", "show", "cc", expect=1).stderr
    connect_call_log(location.settings).forget("shop")
    assert "forgotten" in mesh(location, "audit", "show", "aa", expect=1).stderr
    assert listed(location)[1]["forgotten"] is True
