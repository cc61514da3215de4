"""Code findings: what an owner is told of the code of a slice, with the lines that show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_assets.insights import code_tools
from mesh_assets.insights.code_findings import code_finding_batches
from mesh_assets.insights.code_mistakes import mistakes_of
from mesh_assets.schemas.outcome import Outcome
from mesh_assets_tests.insights.chunk_rows import batches, rows

BRANCHES = "".join(
    f"    for a{i} in value:\n        if a{i}:\n            while value:\n                value = a{i}\n"
    for i in range(20)
)
LONG = "".join(f"    step_{i} = first({i}) + second({i})\n" for i in range(45))
FILES = {
    "app/run.py": "import subprocess\n\n\ndef execute(command):\n    return subprocess.call(command, shell=True)\n",
    "app/tangle.py": f"def tangled(value):\n    total = 0\n{BRANCHES}    return total\n",
    "app/old.py": f"def _forgotten(value):\n{LONG}    return value\n\n\ndef used(value):\n    return value\n",
    "app/caller.py": "from app.old import used\n\n\nused(1)\n\n\ndef check(value):\n    if value < 0:\n"
    "        ValueError('negative')\n    return value\n",
    "app/one.py": f"import app.two\n\n\ndef copied(first, second):\n{LONG}    return step_1\n\n\ncopied(1, app.two)\n",
    "app/two.py": f"import app.one\n\n\ndef also(first, second):\n{LONG}    return step_1\n\n\nalso(1, app.one)\n",
    "web/page.js": "function show(text) {\n  return eval(text);\n}\nshow(1);\n",
}


def told(
    files: dict[str, str], *, is_whole: bool = True, commits: dict[str, int] | None = None, most: int = 1 << 30
) -> list[dict]:
    """The findings in a slice of these files, each cut into several chunks."""
    made = [
        row
        for path, text in files.items()
        for row in rows(path, text, kind="code", format="python" if path.endswith(".py") else "javascript", size=300)
    ]
    cut = batches(made)
    outcome = Outcome()
    found = code_finding_batches(
        lambda columns: (batch.select(list(columns)) for batch in cut),
        dataset="d",
        slice_key="d.000001",
        outcome=outcome,
        is_whole=is_whole,
        commits=commits,
        most=most,
    )
    result = [row for batch in found for row in batch.to_pylist()]
    assert outcome.done == len(made)
    return result


def by_type(found: list[dict], name: str) -> list[str]:
    return [row["statement"] for row in found if row["type"] == name]


def test_each_sort_of_finding_names_its_place_and_cites_the_line() -> None:
    found = told(FILES)
    (risk,) = [row for row in found if row["type"] == "code_risk" and "run.py" in row["statement"]]
    assert "shell=True" in risk["statement"]
    assert risk["evidence"][0]["line_start"] == 5
    assert risk["evidence"][0]["quote"] == "return subprocess.call(command, shell=True)"
    assert any("eval" in said and "page.js" in said for said in by_type(found, "code_risk"))
    assert any("tangled" in said and "61 paths" in said for said in by_type(found, "code_hot_spot"))
    assert any("ValueError and does not raise it" in said for said in by_type(found, "code_mistake"))
    assert any("copied" in said and "app/two.py" in said for said in by_type(found, "code_copies"))
    assert any("app.one needs app.two needs app.one" in said for said in by_type(found, "code_circle"))
    assert any("_forgotten" in said for said in by_type(found, "code_dead"))
    assert not any("used" in row["title"] for row in found)


def test_a_slice_that_is_not_the_whole_dataset_calls_nothing_dead() -> None:
    found = told(FILES, is_whole=False)
    assert not by_type(found, "code_dead")
    assert any("other slices" in said for said in by_type(found, "code_limits"))


def test_a_name_that_is_put_together_at_run_time_is_alive() -> None:
    text = FILES["app/old.py"].replace("_forgotten", "_on_start")
    found = told({"app/old.py": text, "app/call.py": "def call(own, kind):\n    return getattr(own, f'_on_{kind}')\n"})
    assert not any("_on_start" in said for said in by_type(found, "code_dead"))


def test_a_file_that_is_often_changed_is_the_hotter_spot() -> None:
    files = {f"app/{name}.py": FILES["app/tangle.py"].replace("tangled", f"f_{name}") for name in ("calm", "busy")}
    found = told(files, commits={"app/busy.py": 40, **{f"app/{i}.py": 1 for i in range(20)}})
    hot = [row for row in found if row["type"] == "code_hot_spot"]
    assert "f_busy" in hot[0]["title"]
    assert "40 commits" in hot[0]["statement"]
    assert hot[0]["score"] > hot[1]["score"]


def test_tests_are_worth_less_than_the_owners_code() -> None:
    found = told({"app/run.py": FILES["app/run.py"], "tests/test_run.py": FILES["app/run.py"]})
    assert [row["evidence"][0]["path"] for row in found if row["score"] >= 0.5] == ["app/run.py"]


def test_a_file_on_which_the_tools_break_is_named_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_tools, "MAX_CHARACTERS", 2000)
    found = told({"app/long.py": "x = 1\n" * 1000, **FILES})
    assert any("app/long.py" in said for said in by_type(found, "code_limits"))
    assert by_type(found, "code_risk")


def test_what_lies_behind_the_code_that_is_read_of_a_slice_is_counted() -> None:
    assert any(said.startswith("6 files behind") for said in by_type(told(FILES, most=10), "code_limits"))


def test_code_is_read_and_never_run(tmp_path: Path) -> None:
    told({"setup.py": f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\n"})
    assert not list(tmp_path.iterdir())


def test_no_code_no_findings() -> None:
    assert told({}) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("if a == 1:\n    b()\nelif a == 1:\n    c()\n", "a second time"),
        ("x = {'a': 1, 'a': 2}\n", "two values"),
        ("class A:\n    def f(self): return 1\n    def f(self): return 2\n", "the first is lost"),
        ("try:\n    f()\nexcept Exception:\n    pass\nexcept ValueError:\n    g()\n", "takes them all"),
        ("x = a.b or a.b\n", "twice"),
        ("assert (a, 'text')\n", "always true"),
        ("x = '%s and %s' % (a,)\n", "1 values to a format with 2"),
        ("x = a is 'text'\n", "identity"),
        ("a == b\n", "does nothing"),
    ],
)
def test_mistakes_that_the_syntax_tree_shows(text: str, said: str) -> None:
    import ast

    (mistake,) = mistakes_of(ast.parse(text), text)
    assert said in mistake.said


@pytest.mark.parametrize(
    "text",
    [
        "raise ValueError('x')\n",
        "x = '%d%% of %s' % (a, b)\n",
        "x = '%(a)s' % (values,)\n",
        "class A:\n    @property\n    def f(self): return 1\n    @f.setter\n    def f(self, v): pass\n",
        "with raises(TypeError):\n    a == b\n",
        "if f():\n    a()\nelif f():\n    b()\n",
        "x = a if a is None else b\n",
        "if a:\n    x = b  # type: ignore\nelse:\n    x = b\n",
    ],
)
def test_what_is_right_is_no_mistake(text: str) -> None:
    import ast

    assert mistakes_of(ast.parse(text), text) == []


def test_many_that_nobody_mentions_in_one_file_are_called_from_elsewhere() -> None:
    one = FILES["app/old.py"].split("\n\n\n")[0]
    own = (one.replace("_forgotten", f"_of_c_{name}").replace("step", name) for name in ("add", "take", "sum"))
    head = "from app.base import first, second\n\n\n"
    found = told({"app/one.py": f"{head}{one}\n", "app/many.py": head + "\n\n\n".join(own) + "\n"})
    dead = [row for row in found if row["type"] == "code_dead"]
    assert [("_forgotten" in row["title"], row["score"] >= 0.5) for row in dead] == [(True, True), (False, False)]


def test_findings_come_best_first_also_where_two_say_the_same() -> None:
    twice = "import os\n\n\ndef f():\n    return gone, lost, os\n"
    scores = [row["score"] for row in told({"app/a.py": twice, **FILES})]
    assert scores == sorted(scores, reverse=True)


def test_a_function_that_a_decorator_registers_is_alive() -> None:
    text = "@registry.for_name('x')\n" + FILES["app/old.py"].split("\n\n\n")[0] + "\n"
    assert not by_type(told({"app/old.py": text}), "code_dead")


def test_what_a_file_imports_only_when_it_is_run_makes_no_circle() -> None:
    run = "\nif __name__ == '__main__':\n    import app.two\n"
    assert not by_type(told({"app/one.py": "x = 1\n" + run, "app/two.py": "import app.one\n"}), "code_circle")


def test_a_command_of_the_programs_own_is_no_finding() -> None:
    own = FILES["app/run.py"].replace("execute(command)", "execute(self)").replace("(command,", "(self.own(),")
    found = told({"app/own.py": own, "app/run.py": FILES["app/run.py"]})
    assert [row["evidence"][0]["path"] for row in found if row["score"] >= 0.5] == ["app/run.py"]


UNPACK = "import tarfile\n\n\ndef unpack(archive):\n    with tarfile.open(archive) as tar:\n        "


@pytest.mark.parametrize(
    ("call", "is_finding"),
    [("tar.extractall()", True), ("own_extractall(tar)", False), ("tar.extractall(filter='data')", False)],
)
def test_an_archive_that_is_unpacked_with_a_filter_is_no_finding(call: str, is_finding: bool) -> None:
    found = told({"app/unpack.py": f"{UNPACK}{call}\n"})
    assert any(row["type"] == "code_risk" and row["score"] >= 0.5 for row in found) == is_finding


def test_what_is_switched_off_is_no_mistake() -> None:
    off = "def f(a):\n    if True:\n        return a\n    else:\n        ValueError('x')\n"
    assert not by_type(told({"app/off.py": off}), "code_mistake")
    assert by_type(told({"app/on.py": off.replace("True", "a")}), "code_mistake")


def test_branches_in_a_row_are_no_finding_and_branches_within_branches_are() -> None:
    row = "def flat(value):\n" + "".join(f"    if value == {i}:\n        value += {i}\n" for i in range(60))
    found = told({"app/row.py": row + "    return value\n", "app/tangle.py": FILES["app/tangle.py"]})
    assert ["tangled" in row["title"] for row in found if row["type"] == "code_hot_spot"] == [True]


def test_places_that_other_sorts_leave_free_go_to_the_next_best() -> None:
    mistakes = {f"a{i}/f.py": f"def f{i}(n):\n    raise ValueError('wants {{n}} rows')\n" for i in range(30)}
    assert len([row for row in told(mistakes) if row["score"] >= 0.5]) == 9


def test_an_undefined_name_is_cited() -> None:
    (row,) = told({"app/a.py": "import os\n\n\ndef f(a):\n    return os.fspath(b)\n"})
    assert "uses b" in row["statement"]
    assert row["evidence"][0]["line_start"] == 5
