"""What leaves, what is kept of it, and what makes two calls the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_assets.errors import BudgetError, NodeError, SettingsError
from mesh_assets.mesh.calls import request_key
from mesh_assets.mesh.leaving import redacted
from mesh_assets.mesh.protocol import Leaving, Provider, Request
from mesh_assets.mesh.shapes import Evidence
from mesh_assets_tests.mesh.loopback import GOOD, Loopback, loopback
from mesh_assets_tests.mesh.parts import CASE, bench, node, question

SECRET = 'the "key"\nof mine'
ASKED = replace(CASE, question=f"What is {SECRET}?")


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def redact(request: Request) -> Leaving:
    """Puts a placeholder for the secret, and reads it back."""
    sent = replace(request, asked=request.asked.replace(SECRET, "[KEY_1]"))
    return Leaving(sent, lambda text: text.replace("[KEY_1]", SECRET))


def test_what_may_leave_goes_redacted_and_its_answer_is_read_back(server: Loopback, tmp_path: Path) -> None:
    server.answer = lambda prompt: json.dumps(GOOD | {"answer": "It is [KEY_1]."})
    made = bench(tmp_path, redact=redact)
    away = replace(node("openai", server), policy="may-leave")
    called = made.ask(away, question(ASKED))
    assert called.value["answer"] == f"It is {SECRET}."
    assert SECRET in called.text
    assert "the key" not in json.dumps(server.requests).replace('\\"', "")
    assert "[KEY_1]" in json.dumps(server.requests)
    # What is kept is what was said, without the secret; it is read back again each time.
    assert SECRET.encode() not in (tmp_path / "calls.sqlite").read_bytes()
    again = made.ask(away, question(ASKED))
    assert (again.is_cached, again.value) == (True, called.value)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_secrets_and_people_in_the_evidence_never_reach_a_server(
    server: Loopback, tmp_path: Path, provider: Provider
) -> None:
    hidden = ("AKIAZ7QF4WXN2K6PLM3T", "ann.smith@shop-mail.org", "4556737586899855", "hunter2-Blue-Horse")
    text = f"aws_key = {hidden[0]}\nmail {hidden[1]} about card {hidden[2]}\npassword: {hidden[3]}\n"
    # A chunk may end within a key: what each of two pieces has of it is no key to who sees it alone.
    divided = (Evidence("E3", "the card ends in 4556737"), Evidence("E4", "586899855 and was refused"))
    case = replace(CASE, evidence=(Evidence("E1", text), Evidence("E2", f"again {hidden[1]}"), *divided))
    server.answer = lambda prompt: json.dumps(GOOD | {"answer": "Ask [EMAIL_1]."})
    made = bench(tmp_path, redact=redacted)
    called = made.ask(replace(node(provider, server), policy="may-leave"), question(case))
    sent = json.dumps(server.requests)
    assert [value for value in (*hidden, "4556737", "586899855") if value in sent] == []
    assert sent.count("[EMAIL_1]") == 2, "one person has one name in a case"
    assert called.value["answer"] == f"Ask {hidden[1]}."
    kept = (tmp_path / "calls.sqlite").read_bytes()
    assert [value for value in hidden if value.encode() in kept] == []


def test_a_node_on_this_machine_is_asked_as_it_is(server: Loopback, tmp_path: Path) -> None:
    bench(tmp_path, redact=redact).ask(node("openai", server), question(ASKED))
    assert SECRET in server.requests[0]["messages"][1]["content"]


def test_a_private_question_does_not_leave_even_if_it_was_answered_before(server: Loopback, tmp_path: Path) -> None:
    away = replace(node("openai", server), policy="may-leave")
    made = bench(tmp_path)
    made.ask(away)
    with pytest.raises(NodeError, match="private"):
        made.ask(away, question(private=True))
    assert len(server.requests) == 1


def test_a_node_whose_price_nobody_knows_is_refused(server: Loopback, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="not known"):
        bench(tmp_path).ask(replace(node("openai", server), price=None))
    assert server.requests == []


def test_a_schema_that_cannot_be_checked_is_refused_before_anything_is_asked(server: Loopback, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        bench(tmp_path).ask(node("openai", server), question(replace(CASE, schema={"format": "uuid"})))
    assert server.requests == []


def test_a_node_that_costs_nothing_has_no_receipts(tmp_path: Path) -> None:
    made = bench(tmp_path, budgets="month 0")
    free = replace(
        node("local", model="extractive"),
        price=replace(node("local").price, **dict.fromkeys(("input", "output", "cached_input", "cache_write"), 0)),
    )  # type: ignore[type-var]
    called = made.ask(free)
    assert called.value["claims"]
    assert (called.receipts, list(made.ledger.receipts())) == ((), [])


def test_two_calls_are_the_same_where_all_that_an_answer_depends_on_is() -> None:
    asked, one = question().request, node("openai")
    key = request_key(one, asked, "1")
    assert request_key(replace(one, name="renamed", purpose="other"), asked, "1") == key
    others = [
        request_key(replace(one, model="n"), asked, "1"),
        request_key(replace(one, base_url="http://other"), asked, "1"),
        request_key(replace(one, provider="anthropic"), asked, "1"),
        request_key(one, asked, "2"),
        request_key(one, replace(asked, system="s"), "1"),
        request_key(one, replace(asked, stable="s"), "1"),
        request_key(one, replace(asked, asked="s"), "1"),
        request_key(one, replace(asked, max_tokens=1), "1"),
        request_key(one, replace(asked, parameters={"temperature": 1}), "1"),
        request_key(one, replace(asked, schema={"type": "object"}), "1"),
        # What moves from one part to the next is another prompt.
        request_key(one, replace(asked, system=asked.system + asked.stable, stable=""), "1"),
    ]
    assert len({key, *others}) == len(others) + 1
