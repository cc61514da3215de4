import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.entities import MAX_ENTITIES
from mesh_assets.insights.secrets import mask
from mesh_assets_tests.insights.chunk_rows import chunk_rows, entities_of, rows

TEXT = (
    "2024-01-02T03:04:05Z a.b@example.org asked https://example.org/x?y=1, from 10.0.0.1:80 and fe80::1; "
    "db1.internal failed with ECONNREFUSED, then HTTP 503. Paid $1,200.50 or 30 EUR, 45.2% within 35 ms, v1.2.3 and "
    "2.31.0 in /etc/ssl/cert.pem, src/foo/bar.py, C:\\Users\\bob\\x.txt; PROJ-123, CVE-2021-44228, ValueError, "
    "123e4567-e89b-12d3-a456-426614174000."
)
SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "sk-proj-Zm9vYmFyYmF6cXV4MTIzNDU2",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "xoxb-123456789012-abcdefGHIJKL",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
]


def found(text: str) -> set[tuple[str, str]]:
    return {(entity.label, entity.text) for entity in entities_of(text)}


def test_each_form_is_found_as_it_is_written() -> None:
    assert found(TEXT) >= {
        ("time", "2024-01-02T03:04:05Z"),
        ("email", "a.b@example.org"),
        ("url", "https://example.org/x?y=1"),
        ("ip", "10.0.0.1:80"),
        ("ip", "fe80::1"),
        ("host", "db1.internal"),
        ("error_code", "ECONNREFUSED"),
        ("error_code", "503"),
        ("amount", "$1,200.50"),
        ("amount", "30 EUR"),
        ("percent", "45.2%"),
        ("duration", "35 ms"),
        ("version", "v1.2.3"),
        ("version", "2.31.0"),
        ("path", "/etc/ssl/cert.pem"),
        ("path", "src/foo/bar.py"),
        ("path", "C:\\Users\\bob\\x.txt"),
        ("identifier", "PROJ-123"),
        ("error_code", "CVE-2021-44228"),
        ("exception", "ValueError"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000"),
    }


def test_ordinary_prose_and_code_hold_no_entities() -> None:
    assert found("We met at noon, and/or later; his role: e.g. the 3rd. x = a.b.c / d if token else key") == set()


def test_no_address_has_a_part_above_255() -> None:
    assert not any(label == "ip" for label, _ in found("build 10.400.3.2 of 1.2.3.4.5"))


def test_secrets_are_named_and_masked() -> None:
    for secret in SECRETS:
        text = f"key {secret} end"
        assert [entity.label for entity in entities_of(text)] == ["secret"]
        assert secret not in mask(text)
        assert all(secret not in entity.text for entity in entities_of(text))


def test_assigned_passwords_are_secrets_but_code_is_not() -> None:
    for text in (
        "password=hunter2x",
        'api_key: "Zx9Zx9Zx9"',
        "DB_PASSWORD=s3cr3t!!",
        "https://bob:s3cr3t@example.org/x",
    ):
        assert "secret" in {label for label, _ in found(text)}, text
    for text in (
        "token = next(tokens)",
        "password: str",
        "key = settings.api_key",
        "password=None",
        "secret: required",
    ):
        assert "secret" not in {label for label, _ in found(text)}, text


def test_a_private_key_is_one_secret_and_its_body_stays_hidden_without_its_header() -> None:
    body = "\n".join("MIIEpAIBAAKCAQEA7bq8zF0Jx3lq9l5wqJ2vYw0m1n2o3p4q5r6s7t8u9v0w1x2y" for _ in range(3))
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\nAbCd==\n-----END RSA PRIVATE KEY-----"
    assert [entity.label for entity in entities_of(key)] == ["secret"]
    assert "MIIE" not in mask(key)
    assert "MIIE" not in mask(body)


def test_a_part_of_a_text_is_masked_by_what_surrounds_it() -> None:
    text = "password=hunter2secret and more"
    at = text.index("hunter2")
    assert "hunter2" not in mask(text, at, at + 7)
    assert mask(text, 23, len(text)) == "and more"


def test_at_most_so_many_entities_but_every_secret() -> None:
    text = " ".join(f"10.0.0.{i % 250}" for i in range(300)) + " AKIAIOSFODNN7EXAMPLE"
    entities = entities_of(text)
    assert len(entities) == MAX_ENTITIES
    assert entities[-1].label == "secret"


def test_hostile_texts_take_no_longer_than_ordinary_ones() -> None:
    # Each repeats what a pattern begins with and never ends as it must; quadratic matching would take minutes.
    for unit in ("a.", "/a", "1.", "::", "-ab12", "@a.", "://", "password=", "E", "{[", "-----BEGIN ", "eyJa", "9 "):
        entities_of(unit * 20_000)
        mask(unit * 20_000)


ALPHABET = st.sampled_from(
    [*"aZ0 19./:-@_=%$\n\"'\\", "é", "漢", "\ufffd", "😀", "10.0.0.1 ", "a@b.org ", " 5 ms", "İ"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(ALPHABET, max_size=80).map("".join),
    st.sampled_from(["utf-8", "utf-16-le", "utf-32-le"]),
    st.integers(0, 3),
)
def test_the_bytes_of_an_entity_open_exactly_the_entity(text: str, encoding: str, before: int) -> None:
    data = b"#" * before + text.encode(encoding)
    made = rows("f.txt", text, encoding=encoding, size=10**6)
    for row in made:
        row["byte_start"] += before
        row["byte_stop"] += before
    for row in chunk_rows(made):
        for entity in row["entities"]:
            opened = data[before:][entity["byte_start"] : entity["byte_stop"]].decode(encoding)
            if entity["label"] == "secret":
                assert entity["text"].endswith(f"{len(opened)} characters, masked")
            else:
                assert opened == entity["text"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_an_unknown_encoding_are_cited_exactly_or_as_the_whole_chunk(data: bytes) -> None:
    text = data.decode("utf-8", "replace").replace("\r", " ") + " 10.0.0.1"
    size = len(data) + 9
    made = rows("f.bin", text, size=10**6)[:1]
    if made and "\n" not in text[:-1]:
        made[0]["byte_stop"] = size
        for row in chunk_rows(made):
            for entity in row["entities"]:
                assert 0 <= entity["byte_start"] <= entity["byte_stop"] <= size


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SECRETS), st.text(max_size=30), st.text(max_size=30))
def test_a_secret_never_reaches_the_table(secret: str, before: str, after: str) -> None:
    made = rows("f.txt", f"{before} {secret} {after}", size=10**6)
    assert secret not in str(chunk_rows(made))


def test_entities_do_not_overlap_and_come_in_order() -> None:
    entities = entities_of(TEXT * 2)
    assert all(one.stop <= other.start for one, other in pairwise(entities))
    assert all(re.fullmatch(r"[a-z_]+", entity.label) for entity in entities)
