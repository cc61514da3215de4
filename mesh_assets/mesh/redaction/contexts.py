"""Passwords and tokens that only the words around them tell: assigned, in markup, on a command line, in a sentence.

Plain assignments are those of `insights.secret_forms`; here are the ways of writing that are too costly, or too often
innocent, to flag in a whole drop. Such a value counts where it cannot be a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mesh_assets.insights.secret_forms import ASSIGNED, ASSIGNED_SIGN, Secret, is_value
from mesh_assets.mesh.redaction.randomness import is_random

# Where one of these stands, in lower case, the patterns below are tried. Few texts have one.
SIGNS = (
    *"passw passphrase passcode pwd kennwort contraseña contrasena senha secret token credential bearer".split(),
    *"session cookie _auth --user jsessionid phpsessid".split(),
    *(f"{kind}{join}key" for kind in ("api", "access", "private", "account", "auth") for join in ("", "_", "-", " ")),
    *(f"{kind}_key" for kind in ("encryption", "signing", "master", "license", "shared", "client", "storage")),
    *("mot de passe", "identified by", "-u "),
)
_ASSIGNED_VALUE, _VALUE = f"{ASSIGNED_SIGN}{{4,400}}", r"[^\s\"'`,;<>|]{4,400}"
# A word of `SIGNS`, what a name goes on with, and the ways in which a value may follow.
_FOLLOWED = re.compile(
    r"(?:passw(?:or[dt]e?)?|passphrase|passcode|pwd|kennwort|contrase[ñn]a|senha|mot de passe|secret|tokens?|bearer"
    r"|credentials?|(?:jsession|session|phpsess)[_-]?id|session|cookie|_auth(?:token)?"
    r"|(?:api|access|private|account|auth|encryption|signing|master|license|shared|client|storage)[_ -]?key)"
    r"(?P<name>[\w.-]{0,32})"
    rf"(?:(?P<assigned>[\"'\])]{{0,2}}[ \t]{{0,8}}(?:=>|:=|==|=|:)\s{{0,8}}[fbru]{{0,2}}[\"'`]{{0,2}})"
    rf"(?P<a>{_ASSIGNED_VALUE})"
    r"|(?P<quoted>[\"'\])]{0,2}[ \t]{0,8}(?:=>|:=|==|=|:)?[ \t]{0,8}[\"'`])(?P<b>[^\n\"'`]{4,200})(?=[\"'`])"
    rf"|(?P<markup>[^<>\n]{{0,60}}>)\s{{0,8}}(?:[#>*|]\s)?[\"'`]?(?P<c>{_VALUE})(?=[\"'`]?\s{{0,8}}</)"
    rf"|(?P<called>[\"']?\s{{0,8}}[,(]\s{{0,8}}[\"'`\[]{{1,3}})(?P<f>{_VALUE})"
    rf"|(?P<attribute>[\"']\s{{1,8}}(?:value|content|default)\s?=\s?[\"'])(?P<d>{_VALUE})"
    r"|(?P<said>(?:[ \t]{1,4}(?:is|was|are|now|to|of|for|user|lautet|ist|est|es|é|reads?|set|changed|reset|with|value)"
    rf"){{0,3}}[ \t]*[:=]?[ \t]{{1,4}}[\"'`(]?)(?P<e>{_VALUE}))"
)
_USER = re.compile(rf"(?:-u|--user)[ =][\"']?[\w.@+-]{{1,64}}:(?P<value>{_VALUE})")
_IDENTIFIED = re.compile(r"identified by[ \t]{0,4}(?:password )?[\"'\s#>*|]{0,12}(?P<value>[^\s\"';]{4,200})")
_NO_CODE = re.compile(r"^[\w.]*[(\[{]|^\$|^[.<%#/]|^\w+(?:\.\w+)+$|^--|\\")
_BEHIND = ".,;:!?)]}"


def found_at(text: str, lowered: str, places: Iterable[int]) -> Iterator[Secret]:
    """The values that words at `places` of `lowered`, which is `text` in lower case, say to be secret."""
    reached = 0
    for at in places:
        if at < reached or not lowered.startswith(SIGNS, at):
            continue
        for secret in _found_behind(text, lowered, at):
            reached = max(reached, secret.stop)
            yield secret


def _found_behind(text: str, lowered: str, at: int) -> Iterator[Secret]:
    plain = ASSIGNED.match(lowered, at)
    if plain:
        tight = not plain["operator"].strip("=:")
        if is_value(plain["value"], literal=bool(plain["quote"]), tight=tight):
            yield Secret("assigned to a name that says so", *plain.span("value"))
    for pattern in (_USER, _IDENTIFIED):
        match = pattern.match(lowered, at)
        if match and not _NO_CODE.search(match["value"]):
            yield Secret("password on a command line", *match.span("value"))
    match = _FOLLOWED.match(lowered, at)
    if match:
        yield from _followed(text, match)


def _followed(text: str, match: re.Match[str]) -> Iterator[Secret]:
    group = next(name for name in "abcdef" if match[name] is not None)
    start, stop = match.span(group)
    value = text[start:stop].rstrip(_BEHIND)
    if group == "b":
        good = " " not in value and cannot_be_word(value) and not _NO_CODE.search(value)
    elif group == "c":
        good = not _NO_CODE.search(value) and is_value(value.lower(), literal=True, tight=True)
    else:
        good = cannot_be_word(value) and not _NO_CODE.search(value)
    if good:
        yield Secret("said to be secret", start, start + len(value))


def cannot_be_word(value: str) -> bool:
    """Whether `value` mixes letters with digits or signs as passwords do, and names, versions and numbers do not."""
    digits = sum(c.isdigit() for c in value)
    letters = sum(c.isalpha() for c in value)
    signs = sum(c in "!@#$%^&*+=?~" for c in value)
    if len(value) < 6 or not letters:
        return False
    if is_random(value) or (len(value) >= 32 and digits and re.fullmatch(r"[0-9a-fA-F-]+", value)):
        return True
    named = re.fullmatch(r"[A-Za-z_]+[0-9]{0,2}|[A-Za-z]+(?:[_./-][A-Za-z0-9]+)+|[0-9.]+[a-z]{0,3}", value)
    return bool((digits or signs) and not named)
