"""One query answers by words, patterns, names and times; fields narrow it, pages follow, each hit says why."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mesh_assets.embeddings.protocol import OFF
from mesh_assets.errors import CitationError, QueryError
from mesh_assets.serving.one_query import Answer, OneQuery
from mesh_assets_tests.cli.command import mesh as command
from mesh_assets_tests.flow.location import Location


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    found = Location(tmp_path_factory.mktemp("one-query"), options={"embedding_model": OFF, "chunk_tokens": 64})
    shop, lab = found.settings.drops / "shop", found.settings.drops / "lab"
    (shop / "src").mkdir(parents=True)
    lab.mkdir()
    (shop / "src" / "till.py").write_text(
        "def sell(what):\n    return take(what)\n\n\ndef take(what):\n    return lantern(what)\n"
    )
    (shop / "notes.md").write_text("# Lantern\n\nThe red lantern is lit at night. Call 10.1.2.3 for oil.\n")
    (shop / "shop.log").write_text(
        "".join(f"2026-03-0{day} 10:00:00 ERROR lantern {day} went out\n" for day in range(1, 9))
    )
    for number in range(30):
        (lab / f"page-{number:02}.txt").write_text(
            f"Lantern study number {number}: it is the {number}th of its sort.\n"
        )
    found.settle()
    yield found
    found.instance.dispose()


@pytest.fixture(scope="module")
def mesh(location: Location) -> OneQuery:
    return OneQuery(location.settings)


def paths(answer: Answer) -> set[str]:
    return {hit.path for hit in answer.hits}


def test_fields_phrases_and_exclusions_narrow_what_is_found(mesh: OneQuery) -> None:
    assert paths(mesh.search('"red lantern"')) == {"notes.md"}
    assert paths(mesh.search("lantern -study", limit=50)) == {"notes.md", "shop.log", "src/till.py"}
    assert paths(mesh.search("lantern path:src/*")) == {"src/till.py"}
    assert paths(mesh.search("lantern", path="src/*")) == {"src/till.py"}
    assert paths(mesh.search("lantern symbol:take")) == {"src/till.py"}
    assert paths(mesh.search("lantern kind:log after:2026-03-02 before:2026-03-03")) == {"shop.log"}
    assert not mesh.search("lantern after:2027-01-01").hits
    assert paths(mesh.search("path:*.py")) == {"src/till.py"}


def test_the_label_of_a_thing_that_is_named_is_a_field(mesh: OneQuery, location: Location) -> None:
    (table,) = [location.lake.read("chunk_insights", key) for key in location.lake.slices("shop")]
    labels = {entity["label"] for row in table.rows() for entity in row["entities"]}
    assert labels, "no entity was found: nothing is tested"
    for label in labels:
        assert mesh.search("", label=label).hits
    assert not mesh.search("label:nothing-is-called-so").hits


def test_pages_follow_each_other_and_facets_count_the_best(mesh: OneQuery) -> None:
    first, second = (mesh.search("lantern study", limit=7, offset=offset) for offset in (0, 7))
    assert first.more and not {hit.chunk_id for hit in first.hits} & {hit.chunk_id for hit in second.hits}
    whole = mesh.search("lantern study", limit=14)
    assert [hit.chunk_id for hit in whole.hits] == [hit.chunk_id for hit in (*first.hits, *second.hits)]
    assert first.facets == second.facets and first.facets["dataset"]["lab"] == 30
    assert first.facets["folder"] == {"src": 1}
    assert not mesh.search("lantern", limit=50, offset=900).more


def test_each_hit_says_which_words_found_it(mesh: OneQuery) -> None:
    hit = mesh.search("red lanterns at dawn").hits[0]
    assert hit.path == "notes.md" and hit.terms == ("red", "lanterns") and hit.why == "words #1: red, lanterns"


def test_a_pattern_is_looked_for_in_the_texts_of_the_lake(mesh: OneQuery) -> None:
    answer = mesh.search(r"/lantern\s+[3-5] went/")
    assert paths(answer) == {"shop.log"} and "matches 'lantern 3 went'" in answer.hits[0].why
    assert paths(mesh.search(r"number 1\d:", mode="regex", limit=50)) == {
        f"page-{number}.txt" for number in range(10, 20)
    }
    assert paths(mesh.search(r"/\d+\.\d+\.\d+\.\d+/ oil")) == {"notes.md"}
    assert not mesh.search(r"/\d+\.\d+\.\d+\.\d+/ vinegar").hits


@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*)*lantern(.*)*$", "(a|aa)+$", "(x+x+)+y"])
def test_a_hostile_pattern_takes_no_time(mesh: OneQuery, pattern: str) -> None:
    start = time.process_time()
    mesh.search(pattern, mode="regex")
    assert time.process_time() - start < 5


@pytest.mark.parametrize("pattern", ["(", "(?=x)", r"(a)\1", "((a{1,1000}){1,1000}){1,1000}", "[z-a]"])
def test_what_is_no_pattern_is_said(mesh: OneQuery, pattern: str) -> None:
    with pytest.raises(QueryError, match="pattern"):
        mesh.search(pattern, mode="regex")


def test_a_name_finds_the_chunks_around_it(mesh: OneQuery) -> None:
    answer = mesh.search("take", mode="graph")
    assert "src/till.py" in paths(answer) and any("sell calls take" in hit.why for hit in answer.hits)
    assert mesh.search("nobody-is-called-so", mode="graph").notes


def test_a_moment_finds_what_happened_then(mesh: OneQuery) -> None:
    hit = mesh.search("2026-03-02T10:00:01", mode="time").hits[0]
    assert hit.path == "shop.log" and hit.why == "at 2026-03-02 10:00:00"
    assert not mesh.search("2020-01-01", mode="time").hits
    with pytest.raises(QueryError):
        mesh.search("", mode="time", kind="log")


def test_around_a_citation_stand_its_neighbours(mesh: OneQuery) -> None:
    around = mesh.around(str(mesh.search("lantern symbol:take").hits[0].citation))
    assert ("calls", "sell") in {(step.type, step.vertex.name) for step in around.steps}
    log = mesh.around(str(mesh.search("lantern kind:log").hits[0].citation))
    assert log.moments and (log.before or log.behind or log.row.byte_start == 0)
    with pytest.raises(CitationError):
        mesh.around("shop/gone.txt:0-10@0123456789ab")


def test_modes_and_limits_that_are_none_are_said(mesh: OneQuery) -> None:
    for asked in ({"mode": "magic"}, {"limit": 0}, {"offset": -1}, {"offset": 1_000}, {"kind": "books"}):
        with pytest.raises(QueryError) as raised:
            mesh.search("lantern", **asked)  # type: ignore[arg-type]
        assert raised.value.remedy
    assert mesh.search("  ").hits == []


def test_the_commands_show_hits_facets_pages_and_surroundings(
    location: Location, mesh: OneQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_EMBEDDING_MODEL", OFF)
    printed = command(location, "search", "lantern study", "--limit", "3").stdout
    assert "by dataset: lab 30" in printed and "--page 2" in printed
    assert "4. " in command(location, "search", "lantern study", "--limit", "3", "--page", "2").stdout
    assert "Nothing more." in command(location, "search", "lantern study", "--page", "40").stdout
    assert "shop.log" in command(location, "search", "--regex", "went +out").stdout
    assert "no field" in command(location, "search", "author:me", expect=1).stderr
    cited = str(mesh.search("lantern symbol:take").hits[0].citation)
    assert "is called by function sell" in command(location, "around", cited).stdout.replace("\n", " ")


def test_communities_are_found_with_the_report_and_shown(location: Location) -> None:
    rows = location.lake.read("communities", "shop").rows()
    assert rows and all(row["size"] >= 3 and row["members"] for row in rows)
    assert any("src/till.py" in row["members"] for row in rows)
    report = location.lake.read("dataset_reports", "shop").rows()[0]["markdown"]
    told = report.partition("What hangs together")[2]
    assert rows[0]["name"][:20] in told and "src/till.py" in told
    printed = command(location, "graph", "--communities", "--dataset", "shop").stdout
    assert rows[0]["name"][:20] in printed and "members" in printed
    assert "Nothing is named" in command(location, "graph", expect=1).stderr
