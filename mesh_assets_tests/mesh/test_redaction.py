"""What a node outside gets to read: no secret and no personal data, however they are written, and all the rest."""

from __future__ import annotations

import base64
import json
import pickle
import re
import string
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.insights.secrets import mask
from mesh_assets.mesh.redaction.find import KINDS
from mesh_assets.mesh.redaction.redact import redact

# Written by hand, valid by form and checksum, and nobody's.
SECRETS = {
    "AKIAQ7PLEXAMPLE2345B": "KEY",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345": "KEY",
    "glpat-x7Yk2_9QpLmN4rTsVw3Z": "KEY",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc": "KEY",
    "xoxb-123456789012-123456789012-abcdefGHIJKLmnop": "KEY",
    "sk-ant-api03-Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZg": "KEY",
    "AIzaSyD4x9Qk2LmN7pRsT0uVwXyZ1a2B3c4D5e6": "KEY",
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh": "KEY",
    "npm_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8": "KEY",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N": "KEY",
    "k8Jq2ZtR5xWv9LmN3bYc7PdF0aHs6GuE4iKo": "KEY",
    "4111 1111 1111 1111": "CARD",
    "378282246310005": "CARD",
    "123-45-6789": "SSN",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "jane.doe@example.com": "EMAIL",
    "+49 30 1234567": "PHONE",
    "(415) 555-2671": "PHONE",
}
INNOCENT = [
    "commit 5ec9457 of 2024-01-02 03:04:05, sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "123e4567-e89b-12d3-a456-426614174000 took 35 ms, v1.2.3, 45.2%, 1,200.50 EUR, ISBN 978-3-16-148410-0",
    "081109 203615 148 INFO dfs.DataNode: Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106",
    "token = next(tokens)\npassword: str\nkey = settings.api_key\nsecret = None\nfor token in tokens():\n    pass",
    "@pytest.fixture\ndef state_of_the_art_retrieval(self):\n    return x @ self.weights\n\n@app.post\ndef f(): ...",
    "parseConfigFileWithDefaults /usr/lib/python3/dist-packages/some_package/module_name.py HTTP_SERVER_ERROR_CODES",
    "4111 1111 1111 1112, 078-00-1120, 666-12-3456, DE89 3704 0044 0532 0130 01",
]


def redacted(text: str) -> str:
    return redact([text]).texts[0].text


@pytest.mark.parametrize("secret", SECRETS)
def test_each_is_replaced_and_nothing_else(secret: str) -> None:
    made = redact([f"we saw {secret} there"])
    assert made.texts[0].text == f"we saw [{SECRETS[secret]}_1] there"
    assert made.restore("so [" + SECRETS[secret] + "_1] it is") == f"so {secret} it is"


WAYS = {
    "over lines": lambda s, at: f"{s[:at]}\n{s[at:]}",
    "indented": lambda s, at: f"{s[:at]}\r\n      {s[at:]}",
    "in mail": lambda s, at: f"> {s[:at]}\n> {s[at:]}",
    "in a comment": lambda s, at: f"# {s[:at]}\n# {s[at:]}",
    "in strings": lambda s, at: f'"{s[:at]}" +\n    "{s[at:]}"',
    "in one line": lambda s, at: f"'{s[:at]}' '{s[at:]}'",
    "in a shell": lambda s, at: f"{s[:at]}\\\n{s[at:]}",
    "with hidden characters": lambda s, at: f"{s[:at]}\u200b{s[at:]}",
    "with zeros": lambda s, at: "\0".join(s),
    "base64": lambda s, at: base64.b64encode(f"note {s} end".encode()).decode(),
    "base64 for URLs": lambda s, at: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "base64 over lines": lambda s, at: base64.encodebytes(f"{s} is it. ".encode() * 3).decode(),
    "base64 twice": lambda s, at: base64.b64encode(base64.b64encode(s.encode())).decode(),
    "base64 of UTF-16": lambda s, at: base64.b64encode(s.encode("utf-16-le")).decode(),
    "hexadecimal": lambda s, at: s.encode().hex(),
    "hexadecimal pairs": lambda s, at: s.encode().hex(" "),
    "URL": lambda s, at: "u=" + quote(s, safe=""),
    "JSON": lambda s, at: json.dumps({"a": json.dumps({"b": f"x\n{s}\n"})}),
    "JSON escapes": lambda s, at: "".join(f"\\u{ord(c):04x}" for c in s),
    "HTML": lambda s, at: "".join(f"&#{ord(c)};" for c in s),
    "full width": lambda s, at: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),
    "bold": lambda s, at: f"{s[:at]}<wbr>{s[at:]}",
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_writing_hides_it(way: str) -> None:
    for secret, kind in SECRETS.items():
        for at in (len(secret) // 3, len(secret) // 2, len(secret) - 3):
            written = WAYS[way](secret, at)
            made = redact([f"we saw\n{written}\nthere"])
            rest = made.texts[0].text
            assert made.texts[0].replacements, f"{written!r} as {kind}"
            assert written[len(written) // 3 : 2 * len(written) // 3] not in rest
            assert made.restore(rest) == f"we saw\n{written}\nthere"


def test_a_key_over_the_border_of_two_chunks_is_replaced_in_both() -> None:
    for secret in SECRETS:
        made = redact(["first\n" + secret[:9], secret[9:] + "\nsecond"])
        first, second = (text.text for text in made.texts)
        assert first.startswith("first\n[") and second.endswith("]\nsecond"), secret
        assert made.restore(first) == "first\n" + secret[:9]


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2x",
        'api_key: "Zx9Zx9Zx9"',
        "DB_PASSWORD=s3cr3t!!",
        "the password is s3cr3t!! until Monday",
        "login --password s3cr3t!! --user bob",
        "<password>s3cr3t!!</password>",
        "https://bob:s3cr3t!!@example.org/x",
        "curl -u bob:s3cr3t!! https://example.org",
        "create user bob identified by 's3cr3t!!'",
        "Authorization: Bearer abcdefghijklmnopqrstuv",
        "heroku_api_key = 01234567-89ab-cdef-0123-456789abcdef",
        "password:\n    s3cr3t!!",
    ],
)
def test_words_around_a_password_tell_it(text: str) -> None:
    (replacement,) = redact([text]).texts[0].replacements
    assert replacement.kind in ("PASSWORD", "KEY")
    assert text[replacement.start : replacement.stop].isprintable()
    assert not any(said in redacted(text) for said in ("hunter2x", "Zx9", "s3cr3t", "abcdefghij", "89ab"))


def test_a_private_key_is_replaced_as_a_whole_also_in_json() -> None:
    body = "\n".join("MIIEpAIBAAKCAQEA7bq8zF0Jx3lq9l5wqJ2vYw0m1n2o3p4q5r6s7t8u9v0w1x2y" for _ in range(3))
    key = f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{body}\nAbCd==\n-----END RSA PRIVATE KEY-----"
    assert redacted(f"a {key} b") == "a [KEY_1] b"
    assert "MIIE" not in redacted(json.dumps({"key": key}))
    assert "MIIE" not in redacted(body)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redacted(text) == text


def test_addresses_of_machines_leave_unless_asked_for() -> None:
    text = "from 83.149.9.216 and 10.0.0.1 and 2a00:1450:4001:81b::200e"
    assert redacted(text) == text
    assert redact([text], kinds=KINDS).texts[0].text == "from [IP_1] and 10.0.0.1 and [IP_2]"


def test_one_value_has_one_placeholder_in_a_case_and_in_what_follows() -> None:
    made = redact(["a@example.org wrote to b@example.org", "b@example.org wrote back"])
    assert [text.text for text in made.texts] == ["[EMAIL_1] wrote to [EMAIL_2]", "[EMAIL_2] wrote back"]
    later = redact(["You said [EMAIL_2]; c@example.org and a@example.org disagree"], known=made)
    assert later.texts[0].text == "You said [EMAIL_2]; [EMAIL_3] and [EMAIL_1] disagree"
    assert later.restore("[EMAIL_3], [EMAIL_2]") == "c@example.org, b@example.org"


def test_a_text_that_looks_like_a_placeholder_is_never_taken_for_one() -> None:
    text = "[EMAIL_1] and a@example.org"
    made = redact([text])
    assert made.texts[0].text == "[EMAIL_1] and [EMAIL_2]"
    assert made.restore(r"[EMAIL_1] \[EMAIL\_2\] [EMAIL\_2]") == "[EMAIL_1] a@example.org a@example.org"


def test_nothing_that_is_shown_or_stored_has_a_secret() -> None:
    made = redact(["a@example.org", *SECRETS])
    shown = repr(made)
    assert not any(secret in shown for secret in SECRETS)
    assert not any(secret in str(text.replacements) for text in made.texts for secret in SECRETS)
    with pytest.raises(TypeError, match="never stored"):
        pickle.dumps(made)


# --- for any text -----------------------------------------------------------------------------------------------------

SIGNS = "a Z 0 . , : / @ = + - _ % \\ \" ' # * > | & ; [ ] ( ) é 漢 😀 İ \0 \x1d \x1e \x1f \u200b".split(" ")
PIECES = [
    *SECRETS, *INNOCENT, *SIGNS, " ", "\n", "\r\n", "\ud800", "password=", "token: ", "[EMAIL_1]",
    r"\[KEY_2\]", "[KEY_",
    "\\u0041", "%40", "&#64;", "://a:", "eyJ", "sk-", "QUtJQQ", "4142",
    "-----BEGIN RSA PRIVATE KEY-----", "a@b.co",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_any_text_comes_back_from_its_redaction(texts: list[str]) -> None:
    made = redact(texts, kinds=KINDS)
    assert [made.restore(text.text) for text in made.texts] == texts
    for text, result in zip(texts, made.texts, strict=True):
        at = 0
        for replacement in result.replacements:
            assert at <= replacement.start < replacement.stop <= len(text)
            at = replacement.stop


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(SECRETS)),
    st.text(string.printable, max_size=30),
    st.text(string.printable, max_size=30),
)
def test_no_secret_survives_among_other_words(secret: str, before: str, after: str) -> None:
    assert secret not in redacted(f"{before} {secret} {after}")


HOSTILE = [
    *(
        "a.",
        "a@",
        "@a.",
        "1 ",
        "1-",
        "4 ",
        "12-",
        "://a:",
        "password=",
        "password ",
        "sk-",
        "-sk-",
        "eyJ",
        "-eyJ",
        "AKIA",
    ),
    *(
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----\n",
        "\\u",
        "\\",
        "\\n",
        "%4",
        "&#",
        "&amp;",
        '" + "',
        "'\n'",
        "a\n",
        "a \n",
    ),
    *(
        "QUtJ",
        "QUtJ\n",
        "4142",
        "41 ",
        "aB1",
        "aB1\n",
        "[EMAIL_1]",
        "[at]",
        "a(at)b",
        "\u200b",
        "\u200ba",
        "\0",
        "SG.",
        "1\n",
        "+1 ",
    ),
    *(
        "DE89 ",
        "tel ",
        "tel 1",
        "a" * 70 + " ",
        " " * 90,
        "a" + " " * 90,
        "\t\n",
        "a@b.co ",
        "<br>",
        "=\n",
        "-us1",
        "//",
        "漢",
        "é@",
    ),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_texts_take_no_longer_than_ordinary_ones(unit: str) -> None:
    # Each repeats what a pattern begins with and never ends as it must; quadratic matching would take minutes.
    text = (unit * (200_000 // len(unit)))[:200_000]
    start = time.process_time()
    redact([text])
    assert time.process_time() - start < 3.0


@pytest.mark.parametrize(
    "text",
    [
        'Database password = "Tr0ub4dor&3zebra!!"',
        "password: Tr0ub4dor&3zebra",
        'db_password="p@ss&word#12 three"',
        "password='a;b,c|d<1>2345'",
        'passwd = "correct horse battery staple"',
        'PASSWORD="Tr0ub\'4dor&3"',
    ],
)
def test_no_half_of_a_password_is_left(text: str) -> None:
    name, _, value = text.partition("=" if "=" in text else ":")
    inner = value.strip(" ").strip("\"'")
    assert mask(f"{text}\nand more", filler="*") == f"{text.replace(inner, '*')}\nand more"
    sent = redact([text]).texts[0].text
    assert not any(part in sent.removeprefix(name) for part in re.findall(r"[a-z0-9]{3,}", inner)), sent


def test_in_a_url_a_password_ends_where_the_next_name_begins() -> None:
    assert mask("GET /?password=Tr0ub4dor&user=me&x=1") == "GET /?password=****&user=me&x=1"
    assert mask("TOKEN=abcd1234&& run") == "TOKEN=****&& run"
