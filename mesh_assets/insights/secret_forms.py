"""What secrets look like: the one table of forms that keys, tokens and passwords are known by.

Each form begins at a literal, so that a text is searched for literals once, and a pattern is tried only where one
stands. The forms are those that the providers document, and those of scanners' public rule lists (gitleaks,
detect-secrets). What is done with a secret, and forms of personal data, are not here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS, _HEX = "0123456789", "0123456789abcdef"


class Form(NamedTuple):
    """One form of secret.

    `body` matches from one of `literals` on, and is written in what both Python and Rust's linear engine know; its
    group `value` is the secret where that is only a part. `within`: it may stand within a word. `digit`: it has a
    digit, which tells it from words. `before`: at least `least` of these characters stand before it and belong to it.
    """

    name: str
    literals: tuple[str, ...]
    body: str
    within: bool = False
    digit: bool = False
    before: str = ""
    least: int = 0
    # What a text that can hold it has, where `body` would be too large for an engine that makes an automaton of it.
    sign: str = ""


def _form(
    name: str,
    literals: str,
    tail: str,
    *,
    within: bool = False,
    digit: bool = False,
    before: str = "",
    least: int = 0,
) -> Form:
    """A form that begins with any of `literals`, divided by blanks, and goes on with `tail`."""
    words = tuple(literals.split())
    return Form(name, words, f"(?:{'|'.join(re.escape(w) for w in words)}){tail}", within, digit, before, least)


_WORD = "[A-Za-z0-9_-]"
_GAP = r"(?:\s|\\r|\\n){1,8}"
FORMS: tuple[Form, ...] = (
    Form(
        "private key",
        ("-----BEGIN ",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        rf"(?:{_GAP}(?:[A-Z][A-Za-z-]{{2,20}}: [^\n\\]{{1,100}}|[A-Za-z0-9+/=]{{40,100}})){{0,400}}"
        rf"(?:{_GAP}[A-Za-z0-9+/=]{{1,76}})?(?:{_GAP}-----END [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----)?",
        within=True,
        sign="PRIVATE KEY",
    ),
    _form("age key", "AGE-SECRET-KEY-1", "[A-Z0-9]{40,}", within=True),
    # Clouds.
    _form("AWS access key", "AKIA ASIA ABIA ACCA AROA AIDA", "[0-9A-Z]{16}", within=True),
    _form("Google API key", "AIza", "[0-9A-Za-z_-]{30,}", within=True),
    _form("Google OAuth secret", "GOCSPX-", "[0-9A-Za-z_-]{20,}"),
    _form("Google OAuth token", "ya29.", "[0-9A-Za-z_-]{20,}"),
    _form("Azure client secret", "7Q~ 8Q~", "[0-9A-Za-z_.~-]{31,}", within=True, before=_BASE62 + "_.~-", least=3),
    _form("signature of a URL", "?sig= &sig=", "(?P<value>[A-Za-z0-9%+/=_-]{30,})", within=True),
    _form("signature of a URL", "X-Amz-Signature=", "(?P<value>[0-9a-f]{40,})", within=True),
    _form("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", "[0-9a-f]{40,}", within=True),
    _form("Alibaba access key", "LTAI", "[0-9A-Za-z]{12,}", digit=True),
    _form("Tencent access key", "AKID", "[0-9A-Za-z]{28,}", digit=True),
    _form("Heroku key", "HRKU-", "[0-9A-Za-z_-]{30,}"),
    _form("Databricks token", "dapi", "[0-9a-f]{32}(?:-[0-9])?"),
    _form("Vault token", "hvs. hvb. hvr.", "[A-Za-z0-9_-]{20,}"),
    _form("Terraform token", ".atlasv1.", "[A-Za-z0-9_=-]{40,}", within=True, before=_BASE62, least=10),
    _form("Doppler token", "dp.pt. dp.st. dp.sa. dp.ct.", "[A-Za-z0-9._-]{20,}"),
    _form("Pulumi token", "pul-", "[0-9a-f]{40}"),
    _form("Fly.io token", "fm1_ fm2_ fo1_", "[A-Za-z0-9+/=_,-]{40,}"),
    _form("Netlify token", "nfp_ nfc_ nfo_", "[A-Za-z0-9]{30,}"),
    _form("Supabase token", "sbp_ sb_secret_", "[A-Za-z0-9_-]{20,}"),
    _form("PlanetScale token", "pscale_tkn_ pscale_pw_ pscale_oauth_", "[A-Za-z0-9_.=-]{20,}"),
    # Code hosting.
    _form("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", "[A-Za-z0-9_]{20,}", within=True),
    _form(
        "GitLab token",
        "glpat- gldt- glrt- glptt- glcbt- glsoat- glimt- glagent- gloas- glft- glffct- GR1348941",
        "[A-Za-z0-9_.-]{16,}",
    ),
    _form("Bitbucket token", "ATBB ATCTT3", "[A-Za-z0-9_=-]{24,}", digit=True),
    _form("Atlassian token", "ATATT3", "[A-Za-z0-9_=-]{40,}"),
    # Payment.
    _form("payment key", "sk_live_ sk_test_ rk_live_ rk_test_ pk_live_", "[A-Za-z0-9]{10,}"),
    _form("Stripe signing secret", "whsec_", "[A-Za-z0-9+/=]{20,}"),
    _form("Square token", "sq0atp- sq0csp- sq0idp-", "[A-Za-z0-9_-]{20,}"),
    _form("Square token", "EAAA", "[A-Za-z0-9_-]{56,}", digit=True),
    _form("Braintree token", "access_token$", r"(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    _form("Shopify token", "shpat_ shpss_ shpca_ shppa_", "[0-9A-Fa-f]{32}"),
    _form("Plaid token", "access-production- access-sandbox- access-development-", "[0-9a-f-]{36}"),
    _form("Razorpay key", "rzp_live_ rzp_test_", "[A-Za-z0-9]{14,}"),
    _form("Flutterwave key", "FLWSECK- FLWSECK_TEST-", "[A-Za-z0-9-]{12,}"),
    # Chat and mail.
    _form("Slack token", "xoxa- xoxb- xoxc- xoxd- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xapp-", "[A-Za-z0-9.%-]{10,}"),
    _form("webhook", "hooks.slack.com/", r"(?:services|workflows|triggers)/(?P<value>[A-Za-z0-9/_-]{20,})"),
    _form("webhook", "/api/webhooks/", r"[0-9]{15,20}/(?P<value>[A-Za-z0-9_-]{40,})", within=True),
    _form("webhook", ".webhook.office.com/", r"(?P<value>webhookb2/[A-Za-z0-9@/_-]{40,})", within=True),
    _form("Telegram token", ":AA", "[A-Za-z0-9_-]{32,}", within=True, before=_DIGITS, least=8),
    _form("Twilio key", " ".join(f"{kind}{digit}" for kind in ("SK", "AC") for digit in _HEX), "[0-9a-f]{31}"),
    _form("SendGrid key", "SG.", r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    _form("Mailgun key", "key-", "[0-9a-f]{32}"),
    _form("Mailchimp key", "-us", "[0-9]{1,2}", within=True, before=_HEX, least=32),
    _form("Brevo key", "xkeysib- xsmtpsib-", "[0-9a-f]{40,}(?:-[A-Za-z0-9]{10,})?"),
    # Model providers.
    _form("API key", "sk-", "[A-Za-z0-9_-]{16,}", digit=True),
    _form("Hugging Face token", "hf_ api_org_", "[A-Za-z0-9]{30,}"),
    _form("Groq key", "gsk_", "[A-Za-z0-9]{30,}"),
    _form("xAI key", "xai-", "[A-Za-z0-9]{40,}"),
    _form("Perplexity key", "pplx-", "[A-Za-z0-9]{30,}"),
    _form("Replicate token", "r8_", "[A-Za-z0-9]{30,}"),
    _form("Together key", "tgp_v1_", "[A-Za-z0-9_-]{30,}"),
    _form("Fireworks key", "fw_", "[A-Za-z0-9]{20,}", digit=True),
    _form("NVIDIA key", "nvapi-", "[A-Za-z0-9_-]{40,}"),
    _form("Jina key", "jina_", "[A-Za-z0-9_-]{30,}"),
    _form("Cerebras key", "csk-", "[A-Za-z0-9]{30,}"),
    _form("Voyage key", "pa-", "[A-Za-z0-9_-]{40,}", digit=True),
    # Registries of packages.
    _form("npm token", "npm_", "[A-Za-z0-9]{36}", within=True),
    _form("PyPI token", "pypi-", "AgEI[A-Za-z0-9_-]{40,}", within=True),
    _form("RubyGems key", "rubygems_", "[0-9a-f]{40,}"),
    _form("NuGet key", "oy2", "[a-z0-9]{43}"),
    _form("crates.io token", "cio", "[A-Za-z0-9]{32}", digit=True),
    _form("Docker token", "dckr_pat_ dckr_oat_", "[A-Za-z0-9_-]{20,}"),
    _form("Clojars token", "CLOJARS_", "[a-z0-9]{50,}"),
    _form("Artifactory key", "AKCp", "[A-Za-z0-9]{60,}"),
    # Services around development.
    _form("New Relic key", "NRAK- NRJS- NRII- NRAA-", "[A-Za-z0-9_-]{18,}"),
    _form("Grafana token", "glsa_ glc_", "[A-Za-z0-9+/=_]{30,}"),
    _form("Sentry token", "sntrys_ sntryu_", "[A-Za-z0-9+/=_]{30,}"),
    _form("Dynatrace token", "dt0c01. dt0s01. dt0s16.", r"[A-Z0-9]{8,}\.[A-Z0-9]{40,}"),
    _form("Linear key", "lin_api_ lin_oauth_", "[A-Za-z0-9]{30,}"),
    _form("Notion token", "ntn_ secret_", "[A-Za-z0-9]{40,}"),
    _form("Figma token", "figd_ figo_", "[A-Za-z0-9_-]{30,}"),
    _form("Postman key", "PMAK-", "[0-9a-f]{24}-[0-9a-f]{34}"),
    _form("Airtable token", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    _form("Mapbox token", "sk.eyJ", r"[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{16,}"),
    _form("1Password token", "ops_eyJ", "[A-Za-z0-9_=+/-]{60,}"),
    _form("Postmark or Cloudflare key", "v1.0-", "[0-9a-f]{24}-[0-9a-f]{100,}"),
    # What any service may use. A second look at one run of characters would make the next form quadratic.
    _form("JSON web token", "eyJ", rf"{_WORD}{{8,}}\.{_WORD}{{8,}}(?:\.{_WORD}*)*"),
    _form("password in a URL", "://", r"[^\s/:@<>]{0,80}:(?P<value>[^\s/@<>]{1,200})@", within=True),
    Form(
        "authorization header",
        ("earer ", "asic "),
        r"(?:earer|asic) {1,4}(?P<value>[A-Za-z0-9+/=._~-]{16,})",
        within=True,
        before="Bb",
        least=1,
    ),
    _form("password hash", "$2a$ $2b$ $2y$ $1$ $5$ $6$ $y$ $argon2", "[A-Za-z0-9./$=,+-]{20,}", within=True),
    _form("password hash", "{SSHA} {SHA} {SSHA512}", "[A-Za-z0-9+/=]{20,}", within=True),
)


class Secret(NamedTuple):
    """Characters `start` up to `stop` of a text that must not be shown; `name` says what they are."""

    name: str
    start: int
    stop: int


PATTERNS = tuple(re.compile(form.body) for form in FORMS)
# Every literal once, and the form that begins with it.
LITERALS = [literal for form in FORMS for literal in form.literals]
_FORM_OF = [number for number, form in enumerate(FORMS) for _ in form.literals]
# Whether a text can hold one of the forms, for an engine that reads a whole column at once.
SOMEWHERE = "|".join(f"(?:{form.sign or form.body.replace('(?P<value>', '(?:')})" for form in FORMS)


class Words:
    """A set of words, and a search for where one of them may stand in a text; they have three characters or more.

    The first four bytes of each (three of those that have no more) are a number, and so are those at each place of the
    text: all are looked up at once.
    """

    def __init__(self, words: Iterable[str]) -> None:
        beginnings = {word.lower().encode()[:4] for word in words}
        self._tables = [np.zeros(1 << 16, np.bool_) for _ in range(2)]
        for beginning in beginnings:
            number = int.from_bytes(beginning.ljust(4, b"\0"), "little")
            self._tables[len(beginning) == 4][_mixed(np.array([number], np.uint32))] = True

    def places(self, text: str, lowered: str) -> list[int]:
        """Characters of `text`, which is `lowered` in lower case, at which a word may begin; hardly any other ones."""
        raw = np.frombuffer(lowered.encode("utf-8", "surrogatepass") + b"\0\0\0", np.uint8)
        four: NDArray[np.uint32] = np.ndarray((max(len(raw) - 3, 0),), np.dtype("<u4"), buffer=raw.data, strides=(1,))
        found = np.flatnonzero(self._tables[1][_mixed(four)] | self._tables[0][_mixed(four & np.uint32(0xFFFFFF))])
        if len(found) and not lowered.isascii():
            found = np.unique((np.cumsum((raw & 0xC0) != 0x80) - 1)[found])
        return found.tolist()


def _mixed(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (numbers * np.uint32(2654435761)) >> np.uint32(16)


_BY_BEGINNING: dict[str, list[int]] = {}
for _number, _literal in enumerate(LITERALS):
    _BY_BEGINNING.setdefault(_literal[:3], []).append(_number)


def literals_at(text: str, places: Iterable[int]) -> list[tuple[int, int]]:
    """Which literals of `LITERALS` stand at some of `places` of `text`, in order: (place, its number)."""
    return [
        (at, number)
        for at in places
        for number in _BY_BEGINNING.get(text[at : at + 3], ())
        if text.startswith(LITERALS[number], at)
    ]


def forms_at(text: str, hits: Iterable[tuple[int, int]], joins: Container[int] = ()) -> Iterator[tuple[Secret, int]]:
    """The secrets that begin at `hits` (see `literals_at`), each with the number of its form; some may overlap.

    `joins` are places at which something was taken out of the text: a word ends there.
    """
    passed = [0] * len(FORMS)
    for at, literal in hits:
        number = _FORM_OF[literal]
        form = FORMS[number]
        if at < passed[number] or not (form.within or _begins_word(text, at, form, joins)):
            continue
        found = PATTERNS[number].match(text, at)
        if found is None:
            continue
        passed[number] = found.end()
        start, stop = found.span("value" if "value" in found.re.groupindex else 0)
        if form.before:
            behind = text[max(0, at - 80) : at]
            own = len(behind) - len(behind.rstrip(form.before))
            if own < form.least:
                continue
            start = start if "value" in found.re.groupindex else at - own
        if not form.digit or any(c in _DIGITS for c in text[start:stop]):
            yield Secret(form.name, start, stop), number


def _begins_word(text: str, at: int, form: Form, joins: Container[int]) -> bool:
    if not at or at in joins:
        return True
    before = text[at - 1]
    return not (before.isalnum() or (form.name == "JSON web token" and before in "_-"))


def has_right_checksum(token: str) -> bool:
    """Whether the last six characters of a GitHub or npm token are the CRC-32 of those before, in base 62."""
    body, check = token.rpartition("_")[2][:-6], token[-6:]
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits == check


# --- what is assigned to a name that says so -------------------------------------------------------------------------

ASSIGNED_WORDS = ("passw", "pwd", "passphrase", "secret", "token", "key")
# What a value goes on with where no quotes say where it ends. In the query of a URL `&` begins the next name, elsewhere
# it is a sign that passwords have.
ASSIGNED_SIGN = r"(?:[^\s\"'`,;<>&|]|&(?!&|amp;|[\w.%-]{1,40}=))"
# Searched in the lower-cased text: a case-insensitive pattern is several times slower. Between quotes all is the value,
# also blanks and signs that end one without quotes.
ASSIGNED = re.compile(
    r"(?:passw(?:or)?d|pwd|passphrase|secret|token|(?:api|access|private|secret|account)[_-]?key)"
    r"(?P<operator>[\"']?[ \t]{0,3}(?:=>|:=|=|:)[ \t]{0,3})(?P<quote>[\"'`]?)"
    r"(?P<value>(?:(?!(?P=quote))\S){4,400}(?=(?P=quote))"
    rf"|[^\s\"'`,;<>&|]{{4}}(?:(?!(?P=quote))[^\n]){{1,396}}(?=(?P=quote))|{ASSIGNED_SIGN}{{4,400}})"
)
# What stands where a secret would, and is none.
_PLACEHOLDER = re.compile(
    r"(?:none|null|nil|true|false|undefined|required|optional|string|str|bytes|int|bool|any|x{3,}|\*{3,}|\.{3,}"
    r"|(?:your|my|the)[_-].*|\[[a-z]+_\d+\])",
    re.IGNORECASE,
)
_CODE_VALUE = re.compile(r"[\[\](){}$]|^[\w]+(?:\.[\w]+)+$|^[%\\]")


def is_value(value: str, *, literal: bool, tight: bool) -> bool:
    """Whether an assigned value is a secret rather than code or a placeholder. `tight`: no blanks around `=`."""
    if _PLACEHOLDER.fullmatch(value):
        return False
    if literal:
        return True
    if _CODE_VALUE.search(value):
        return False
    return tight or any(c.isdigit() for c in value)


def assigned_in(text: str) -> Iterator[Secret]:
    """What is assigned to a name that ends like `password` or `api_key`, where it is a value rather than code."""
    lowered = lower(text)
    if any(word in lowered for word in ASSIGNED_WORDS):
        for match in ASSIGNED.finditer(lowered):
            tight = not match["operator"].strip("=:")
            if is_value(match["value"], literal=bool(match["quote"]), tight=tight):
                yield Secret("password or key", *match.span("value"))


def lower(text: str) -> str:
    """`text` in lower case, character by character, so that places stay: a few letters lower to two."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def without_overlaps(found: Iterable[Secret]) -> list[Secret]:
    """`found` in order, those that overlap as one with the name of the first."""
    kept: list[Secret] = []
    for secret in sorted(found, key=lambda s: (s.start, -s.stop)):
        if kept and secret.start < kept[-1].stop:
            kept[-1] = kept[-1]._replace(stop=max(kept[-1].stop, secret.stop))
        else:
            kept.append(secret)
    return kept
