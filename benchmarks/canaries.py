"""Makes canaries: keys, cards, social security numbers, addresses and passwords that nobody has, written in many ways.

Written from what providers and authorities document, and with no code of the product: what it finds is judged by what
is made here. Kinds, ways of writing and surroundings have even and odd numbers: rules are developed on even ones.
"""

from __future__ import annotations

import base64
import random
import string
import zlib
from collections.abc import Callable
from typing import NamedTuple

LETTERS, UPPER, LOWER, DIGITS = string.ascii_letters, string.ascii_uppercase, string.ascii_lowercase, string.digits
ALNUM, HEX = LETTERS + DIGITS, "0123456789abcdef"
Draw = random.Random


class Canary(NamedTuple):
    """One secret as it is (`value`), as it stands in a text (`written`; in two texts after `\\f`), and what it is."""

    value: str
    written: str
    kind: str
    way: str
    place: str
    held_out: bool


def _of(draw: Draw, alphabet: str, count: int) -> str:
    return "".join(draw.choices(alphabet, k=count))


def _crc_token(draw: Draw, prefix: str) -> str:
    body = _of(draw, ALNUM, 30)
    rest, tail = zlib.crc32(body.encode()), ""
    while len(tail) < 6:
        tail = (DIGITS + UPPER + LOWER)[rest % 62] + tail
        rest //= 62
    return prefix + body + tail


def _json_token(draw: Draw) -> str:
    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    claims = (
        f'{{"sub":"{_of(draw, DIGITS, 10)}","name":"{_of(draw, LOWER, 8)}","iat":{draw.randrange(10**9, 2 * 10**9)}}}'
    )
    head = part('{"alg":"HS256","typ":"JWT"}')
    return f"{head}.{part(claims)}.{_of(draw, ALNUM + '-_', 43)}"


def _with_check_digit(body: str) -> str:
    return next(body + d for d in DIGITS if _luhn(body + d))


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _card(draw: Draw, prefix: str, length: int, groups: tuple[int, ...]) -> str:
    digits = _with_check_digit(prefix + _of(draw, DIGITS, length - 1 - len(prefix)))
    sign = draw.choice(["", " ", "-"])
    parts, at = [], 0
    for size in groups:
        parts.append(digits[at : at + size])
        at += size
    return sign.join(parts)


def _ssn(draw: Draw) -> str:
    area = draw.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03}-{draw.randrange(1, 100):02}-{draw.randrange(1, 10_000):04}"


def _iban(draw: Draw) -> str:
    bank = _of(draw, DIGITS, 18)
    check = 98 - int(bank + "131400") % 97
    whole = f"DE{check:02}{bank}"
    return draw.choice([whole, " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))])


_NAMES = "anna boris chen dilara emeka fatima goran hanna ivan jun kofi lena marco nadia olu priya quentin rosa".split()


def _email(draw: Draw) -> str:
    name = f"{draw.choice(_NAMES)}{draw.choice(['.', '_', ''])}{draw.choice(_NAMES)}{draw.choice(['', '7', '1984'])}"
    host = f"{_of(draw, LOWER, draw.randrange(4, 9))}{draw.choice(['', '-mail', '.corp'])}"
    return f"{name}@{host}.{draw.choice(['com', 'org', 'de', 'io', 'co.uk', 'net'])}"


def _phone(draw: Draw) -> str:
    a, b, c = draw.randrange(201, 990), draw.randrange(200, 999), draw.randrange(0, 10_000)
    return draw.choice([f"({a}) {b}-{c:04}", f"{a}-{b}-{c:04}", f"+1 {a} {b} {c:04}", f"+49 30 {_of(draw, DIGITS, 7)}"])


def _password(draw: Draw) -> str:
    return _of(draw, LETTERS, 6) + _of(draw, DIGITS, 3) + draw.choice("!#%^*?") + _of(draw, ALNUM, 4)


def _private_key(draw: Draw) -> str:
    lines = "\n".join(_of(draw, ALNUM + "+/", 64) for _ in range(8))
    return f"-----BEGIN RSA PRIVATE KEY-----\nMIIE{lines[4:]}\n-----END RSA PRIVATE KEY-----"


KINDS: list[tuple[str, Callable[[Draw], str]]] = [
    ("AWS key id", lambda d: "AKIA" + _of(d, UPPER + "234567", 16)),
    ("GitHub", lambda d: _crc_token(d, "ghp_")),
    ("Stripe", lambda d: "sk_live_" + _of(d, ALNUM, 24)),
    ("AWS secret", lambda d: _of(d, ALNUM + "+/", 40)),
    ("OpenAI", lambda d: f"sk-proj-{_of(d, ALNUM, 20)}T3BlbkFJ{_of(d, ALNUM, 20)}"),
    ("Anthropic", lambda d: f"sk-ant-api03-{_of(d, ALNUM + '-_', 93)}AA"),
    ("Slack", lambda d: f"xoxb-{_of(d, DIGITS, 12)}-{_of(d, DIGITS, 12)}-{_of(d, ALNUM, 24)}"),
    ("GitLab", lambda d: "glpat-" + _of(d, ALNUM + "-_", 20)),
    ("Google", lambda d: "AIza" + _of(d, ALNUM + "-_", 35)),
    ("npm", lambda d: _crc_token(d, "npm_")),
    ("Hugging Face", lambda d: "hf_" + _of(d, LETTERS, 34)),
    ("PyPI", lambda d: "pypi-AgEIcHlwaS5vcmc" + _of(d, ALNUM + "-_", 120)),
    ("Telegram", lambda d: f"{_of(d, '123456789', 10)}:AA{_of(d, ALNUM + '-_', 33)}"),
    ("SendGrid", lambda d: f"SG.{_of(d, ALNUM + '-_', 22)}.{_of(d, ALNUM + '-_', 43)}"),
    ("JSON web token", _json_token),
    ("Discord", lambda d: f"M{_of(d, ALNUM, 23)}.{_of(d, ALNUM, 6)}.{_of(d, ALNUM + '-_', 38)}"),
    ("Azure storage", lambda d: _of(d, ALNUM + "+/", 86) + "=="),
    ("Twilio", lambda d: "SK" + _of(d, HEX, 32)),
    ("unknown key", lambda d: _of(d, ALNUM, 40)),
    ("Vault", lambda d: "hvs." + _of(d, ALNUM + "-_", 95)),
    ("private key", _private_key),
    ("DigitalOcean", lambda d: "dop_v1_" + _of(d, HEX, 64)),
    ("Visa", lambda d: _card(d, "4", 16, (4, 4, 4, 4))),
    ("Mastercard", lambda d: _card(d, str(d.randrange(51, 56)), 16, (4, 4, 4, 4))),
    ("SSN", _ssn),
    ("American Express", lambda d: _card(d, d.choice(["34", "37"]), 15, (4, 6, 5))),
    ("e-mail", _email),
    ("IBAN", _iban),
    ("password", _password),
    ("phone", _phone),
]
# These are no words, so what stands around them does not matter; a password is one only where something says so.
_NAMED = {"password"}


def _cut(draw: Draw, value: str, parts: int = 2) -> list[str]:
    places = sorted(draw.sample(range(2, len(value) - 1), parts - 1))
    return [value[a:b].strip() for a, b in zip([0, *places], [*places, len(value)], strict=True)]


def _wrapped(text: str, width: int) -> str:
    return "\n".join(text[i : i + width] for i in range(0, len(text), width))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _note(draw: Draw, value: str) -> str:
    return f"note {_of(draw, LOWER, draw.randrange(1, 9))}: {value} (keep safe)"


WAYS: list[tuple[str, Callable[[Draw, str], str]]] = [
    ("plain", lambda d, v: v),
    ("plain again", lambda d, v: v),
    ("over two lines", lambda d, v: "\n".join(_cut(d, v))),
    ("over two lines, indented", lambda d, v: "\n        ".join(_cut(d, v))),
    ("Python strings", lambda d, v: '"\n    "'.join(_cut(d, v)).join('""')),
    ("JavaScript strings", lambda d, v: "' +\n  '".join(_cut(d, v)).join("''")),
    ("base64", lambda d, v: _b64(v)),
    ("base64 in a longer text", lambda d, v: _b64(_note(d, v))),
    ("over three lines", lambda d, v: "\n".join(_cut(d, v, 3))),
    ("base64 over lines", lambda d, v: _wrapped(_b64(_note(d, v) * 2), 76)),
    ("hexadecimal", lambda d, v: v.encode().hex()),
    ("comment lines", lambda d, v: "\n# ".join(["", *_cut(d, v)])),
    ("percent signs", lambda d, v: "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in v)),
    ("base64 for URLs", lambda d, v: base64.urlsafe_b64encode(v.encode()).decode().rstrip("=")),
    ("backslash at the end", lambda d, v: "\\\n".join(_cut(d, v))),
    ("JSON escapes", lambda d, v: "".join(f"\\u{ord(c):04x}" if d.random() < 0.3 else c for c in v)),
    ("hidden characters", lambda d, v: "\u200b".join(_cut(d, v, 3))),
    ("mail over lines", lambda d, v: "\n> ".join(["", *_cut(d, v)])),
    ("twice base64", lambda d, v: _b64(_b64(v))),
    ("UTF-16 read as bytes", lambda d, v: "\0".join(v)),
    ("joined in a line", lambda d, v: '" + "'.join(_cut(d, v)).join('""')),
    ("base64 of UTF-16", lambda d, v: base64.b64encode(v.encode("utf-16-le")).decode()),
    ("HTML entities", lambda d, v: "".join(f"&#{ord(c)};" if not c.isalnum() else c for c in v)),
    ("over two chunks", lambda d, v: "\f".join(_cut(d, v))),
]

PLACES: list[tuple[str, str]] = [
    ("environment", "API_TOKEN={}\n"),
    ("YAML", "  credential: {}\n"),
    ("program", 'client.setup(region, "{}")\n'),
    ("log line", "2026-03-02 10:11:12,345 WARN [worker-3] upstream refused {} after 3 tries\n"),
    ("sentence", "When you call them, say that it is {} and wait for the answer.\n"),
    ("table", "| 17 | {} | active |\n"),
    ("JSON", '{{"id": 12, "value": "{}", "active": true}}\n'),
    ("query", "GET /v1/items?x={}&page=2 HTTP/1.1\n"),
    ("comment", "    # was {} before the move\n"),
    ("row", "12,Smith,{},2024-05-01,yes\n"),
    ("alone", "{}\n"),
    ("header", "X-Custom-Auth: {}\n"),
    ("trace", 'ValueError: cannot use "{}"\n'),
    ("markup", "<item><name>x</name><v>{}</v></item>\n"),
]
NAMED_PLACES: list[tuple[str, str]] = [
    ("environment", "DB_PASSWORD={}\n"),
    ("YAML", "  password: {}\n"),
    ("JSON", '{{"user": "bob", "password": "{}"}}\n'),
    ("command line", "tool --user bob --password {} --verbose\n"),
    ("URL", "dsn = postgres://bob:{}@db.internal:5432/app\n"),
    ("markup", "<user>bob</user><password>{}</password>\n"),
    ("sentence", "The password is {} until Monday.\n"),
    ("SQL", "CREATE USER bob IDENTIFIED BY '{}';\n"),
    ("connection", "Server=db;User Id=bob;Password={};Encrypt=true\n"),
    ("program", "login(user='bob', password='{}')\n"),
]


def canaries(seed: int, rounds: int, *, everything: bool) -> list[Canary]:
    """Each kind in each way `rounds` times, in places that are drawn; without `everything`, even numbers only.

    A canary is held out where its kind, its way and its place all have odd numbers.
    """
    draw = random.Random(seed)
    step = 1 if everything else 2
    made: list[Canary] = []
    for _ in range(rounds):
        for number, (kind, make) in enumerate(KINDS[::step]):
            places = NAMED_PLACES if kind in _NAMED else PLACES
            for turn, (way, write) in enumerate(WAYS[::step]):
                if kind == "private key" and way not in (
                    "plain",
                    "plain again",
                    "base64",
                    "base64 over lines",
                    "comment lines",
                ):
                    continue
                at = draw.randrange(0, len(places), step)
                value = make(draw)
                if places[at][0] == "URL":
                    value = value.replace("#", "").replace("?", "").replace("%", "").replace("^", "")
                written = places[at][1].format(write(draw, value))
                odd = everything and number % 2 == turn % 2 == at % 2 == 1
                made.append(Canary(value, written, kind, way, places[at][0], odd))
    return made
