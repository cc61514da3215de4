"""Personal data by its form: e-mail addresses, phone numbers, cards, bank accounts, social security numbers, addresses.

Where a form has a checksum or a rule of issue, it must hold. Names of people need a model and are not here.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from itertools import pairwise
from typing import NamedTuple

from mesh_assets.mesh.redaction.views import MARK


class Personal(NamedTuple):
    """Characters `start` up to `stop` of a text that are personal data of a `kind`; `reason` says what tells it."""

    kind: str
    start: int
    stop: int
    reason: str


# --- e-mail ----------------------------------------------------------------------------------------------------------

_ACCENTED = "".join(chr(code) for code in range(0xC0, 0x250) if code not in (0xD7, 0xF7))
_LOCAL = string.ascii_letters + string.digits + "._%+'-" + _ACCENTED
_LABEL = rf"[A-Za-z0-9{_ACCENTED}][A-Za-z0-9{_ACCENTED}-]{{0,62}}"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.){{1,8}}(?:[A-Za-z]{{2,24}}|xn--[a-z0-9]{{2,30}})(?![A-Za-z0-9_(\[])")
# Ends of nearly all addresses; of a word over two lines only these count, for `@` begins other things in a line too.
COMMON_DOMAINS = frozenset(
    "com org net edu gov mil int info biz io co ai app dev eu us uk de fr it es pt nl be ch at pl cz se no dk fi ru cn"
    " jp in br au ca mx kr za nz ie il tr gr hu ro ua me tv cc xyz online site tech cloud test example invalid local"
    " internal".split()
)
_SPELT_AT = re.compile(r"[\[({<] ?at ?[\])}>]")
_SPELT = re.compile(
    r"[a-z0-9._%+-]{1,64} ?[\[({<] ?at ?[\])}>] ?"
    r"[a-z0-9-]{1,63}(?:(?:\.| ?[\[({<] ?dot ?[\])}>] ?)[a-z0-9-]{1,63}){1,6}"
)


def emails(text: str, lowered: str) -> Iterator[Personal]:
    """Addresses of mail, also those with `[at]`; `git@host` is nobody's. `lowered` is `text` in lower case."""
    if "@" in text:
        parts = text.split("@")
        at = -1
        for before, behind in pairwise(parts):
            at += len(before) + 1
            local = before[len(before.rstrip(_LOCAL)) :].lstrip(".'-%+")
            domain = _DOMAIN.match(behind)
            if local and domain and len(local) <= 80 and local != "git":
                yield Personal("EMAIL", at - len(local), at + 1 + domain.end(), "form of an e-mail address")
    if "at" in lowered and _SPELT_AT.search(lowered):
        for match in _SPELT.finditer(lowered):
            yield Personal("EMAIL", *match.span(), "e-mail address in words")


# --- numbers ---------------------------------------------------------------------------------------------------------

# A first character to search for, and what may not stand before it and behind the whole.
_FIRST = r"[0-9(](?<![A-Za-z0-9_][0-9(])(?<![0-9_][.-][0-9(])"
_NOT_BEHIND = r"(?![A-Za-z0-9_])(?![.-][0-9])"
_NUMBERS = re.compile(
    rf"{_FIRST}(?:"
    r"(?P<ssn>(?<=[0-8])[0-9]{2}(?P<s>[ .-])[0-9]{2}(?P=s)[0-9]{4})"
    r"|(?P<card>(?<=[2-6])(?:[0-9]{3}[ .-]?[0-9]{4}[ .-]?[0-9]{4}[ .-]?[0-9]{4}(?:[ .-]?[0-9]{3})?|[0-9]{12,18}"
    r"|(?<=3)[04678][0-9]{2}[ .-]?[0-9]{6}[ .-]?[0-9]{4,5}))"
    r"|(?P<america>(?:(?<=1)[ .-])?(?:\(?(?<=\()[2-9][0-9]{2}\)[ ]?|(?:(?<=[2-9])|(?<=[ .-])[2-9])[0-9]{2}[ .-])"
    r"[2-9][0-9]{2}[ .-][0-9]{4})"
    rf"){_NOT_BEHIND}"
)
# The same where places are marked at which a number may be divided, or end, or begin.
_M = f"{MARK}?"
_SIGN = f"(?:[ .-]{_M}|(?<={MARK}))"
_2, _3, _4, _5, _6, _12 = (rf"(?:[0-9]{_M}){{{count}}}" for count in ("2", "3", "4", "5", "6", "12,18"))
# In so many parts nobody divides one; a column of numbers is none.
_MOST_MARKS = 6
_DIVIDED = re.compile(
    rf"{_FIRST}{_M}(?:(?P<card>{_3}{_SIGN}{_4}{_SIGN}{_4}{_SIGN}{_4}|{_12}"
    rf"|{_3}{_SIGN}{_6}{_SIGN}(?:{_5}|{_4}))"
    rf"|(?P<ssn>{_2}{_SIGN}{_2}{_SIGN}{_4})"
    rf"|(?P<america>{_SIGN}?\(?{_3}\)?{_M}[ ]?{_SIGN}?{_3}{_SIGN}{_4}|{_2}\)?{_M}[ ]?{_SIGN}?{_3}{_SIGN}{_4}"
    rf"|(?<=\(){_3}\){_M}[ ]?{_SIGN}?{_3}{_SIGN}{_4}))(?:(?<={MARK})|{_NOT_BEHIND})"
)
_ABROAD = re.compile(r"\+(?<![0-9A-Za-z_+*]\+)[1-9](?:[ ./()\x1f-]{0,2}[0-9]){7,14}(?![0-9A-Za-z_])")
# A number of any form is a telephone number, or a social security number, where a word says so.
TOLD_SIGNS = ("tel", "phone", "mobil", "cell", "fax", "handy", "whatsapp", "ssn", "social security", "card", "pan")
_TOLD = re.compile(
    r"(?<![a-z0-9])(?:(?P<phone>tel(?:ephone|efon|\.)?|phone(?: ?(?:no|number))?|mobile?|cell|fax|handy|whatsapp)"
    r"|(?P<ssn>ssn|social security(?: (?:no|number|#))?)|(?P<card>card(?: ?(?:no|number))?|pan))"
    r"[\"']?[ \t]{0,3}(?:is|[:=#.]){0,2}[ \t]{0,3}[\"']?(?P<value>[+(]?[0-9](?:[ ./()-]{0,2}[0-9]){6,18})(?![0-9a-z_])"
)
# Issuers of cards by first digits, and how many digits theirs have.
_CARDS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12}|35[0-9]{14}"
    r"|62[0-9]{14,17}|(?:5018|5020|5038|6304|6759|676[1-3])[0-9]{8,15}|220[0-4][0-9]{12}"
)
# Numbers of 17 to 19 digits are mostly no cards, whatever their checksum says by chance.
_LONG_CARDS = "62"


def numbers(text: str) -> Iterator[Personal]:
    """Cards, social security numbers and telephone numbers."""
    for match in _ABROAD.finditer(text):
        yield Personal("PHONE", *match.span(), "international telephone number")
    for match in _NUMBERS.finditer(text):
        found = _told_by_form(match)
        if found:
            yield found


def divided_numbers(text: str) -> Iterator[Personal]:
    """These and IBANs over places that are marked: a number may be divided there, or another one begin."""
    for match in _ABROAD.finditer(text):
        if MARK in match[0]:
            yield Personal("PHONE", *match.span(), "international telephone number")
    for match in _IBAN_DIVIDED.finditer(text):
        yield from (found for found in _account(text, *match.span()) if MARK in text[found.start : found.stop])
    match = _DIVIDED.search(text)
    while match:
        start, stop = match.span()
        marks = [at for at in range(start + 1, stop) if text[at] == MARK]
        ends = (stop, *reversed(marks)) if 0 < len(marks) <= _MOST_MARKS else ()
        found = next(filter(None, (_number_up_to(text, start, end) for end in ends)), None)
        next_start = found.stop if found else marks[0] + 1 if ends else stop
        if found:
            yield found
        match = _DIVIDED.search(text, next_start)


def _number_up_to(text: str, start: int, stop: int) -> Personal | None:
    part = text[start:stop].rstrip(MARK)
    digits = _digits(part)
    if MARK not in part or len(digits) < 9 or (len(digits) > 11 and not is_card(digits)):
        return None
    match = _DIVIDED.fullmatch(text, start, stop)
    found = _told_by_form(match) if match else None
    return found._replace(stop=start + len(part)) if found else None


def _told_by_form(match: re.Match[str]) -> Personal | None:
    digits = _digits(match[0])
    if match["ssn"]:
        right = is_ssn(digits) and bool(set(match[0]) & {*" .-"})
        return Personal("SSN", *match.span(), "social security number by its rules") if right else None
    if match["card"]:
        long = len(digits) > 16 and not digits.startswith(_LONG_CARDS)
        return Personal("CARD", *match.span(), "card number, checksum right") if is_card(digits) and not long else None
    digits = digits[-10:]
    signs = bool(set(match[0]) & {*"-.("}) or match[0].count(" ") >= 2
    if signs and digits[0] in "23456789" and digits[3] in "23456789":
        return Personal("PHONE", *match.span(), "telephone number of North America")
    return None


def told_at(lowered: str, places: Iterable[int]) -> Iterator[Personal]:
    """Numbers that a word at one of `places` of a text in lower case says to be of a telephone, a card or a person."""
    for at in places:
        match = _TOLD.match(lowered, at)
        if match is None:
            continue
        digits = _digits(match["value"])
        if match["ssn"]:
            if len(digits) == 9:
                yield Personal("SSN", *match.span("value"), "said to be a social security number")
        elif match["card"]:
            if is_card(digits):
                yield Personal("CARD", *match.span("value"), "card number, checksum right")
        elif 7 <= len(digits) <= 15:
            yield Personal("PHONE", *match.span("value"), "said to be a telephone number")


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


def is_ssn(digits: str) -> bool:
    """Whether nine digits can be a social security number: no area 000, 666 or 9xx, no group 00, no serial 0000."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def is_card(digits: str) -> bool:
    """Whether digits are those of an issuer of cards, of the length of its cards, with the check digit of Luhn."""
    if not _CARDS.fullmatch(digits) or len(set(digits)) < 2:
        return False
    total = sum(int(d) for d in digits[-1::-2]) + sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return total % 10 == 0


# --- bank accounts ---------------------------------------------------------------------------------------------------

# Characters of an IBAN by country, as SWIFT's registry has them.
_IBAN_LENGTHS = {
    country: int(group[:2])
    for group in (
        "15NO 16BE 18DKFIFOGLNLSD 19MKSI 20ATBAEEKZLTLUXK 21CHHRLILVUA 22BABGBHCRDEGBGEIEMERSVA 23AEGIILIQOMTLSO"
        " 24ADCZDZESMDPKROSASESKTNVG 25LYPTST 26ISTR 27FRGRITMCMRSM 28ALAZBYCYDOGTHULBNIPLSV 29BRPSQA 30JOKWMU 31MTSC"
        " 32LC 33RU"
    ).split()
    for country in re.findall("[A-Z]{2}", group[2:])
} | {"BA": 20, "BI": 27, "DJ": 27, "FK": 18, "EG": 29, "MN": 20, "YE": 30, "HN": 28}
# Told from its third character on, for digits are rarer than letters.
_IBAN = re.compile(
    r"[0-9](?<=[A-Za-z][A-Za-z][0-9])(?<![A-Za-z0-9_][A-Za-z][A-Za-z][0-9])[0-9](?:[ -]?[A-Za-z0-9]){11,30}+"
)


_IBAN_DIVIDED = re.compile(
    rf"[A-Za-z](?<![A-Za-z0-9_][A-Za-z]){_M}[A-Za-z]{_M}[0-9]{_M}[0-9](?:[ {MARK}-]{{0,3}}[A-Za-z0-9]){{11,30}}+"
)


def accounts(text: str) -> Iterator[Personal]:
    """IBANs: right length for the country, and remainder 1 when divided by 97 (ISO 13616)."""
    for match in _IBAN.finditer(text):
        yield from _account(text, match.start() - 2, match.end())


def _account(text: str, start: int, stop: int) -> Iterator[Personal]:
    places = [place for place in range(start, stop) if text[place].isalnum()]
    value = "".join(text[place] for place in places).upper()
    length = _IBAN_LENGTHS.get(value[:2], len(value) + 1)
    if len(value) >= length and _remainder(value[:length]) == 1:
        end = places[length - 1] + 1
        if not text[end : end + 1].isalnum():
            yield Personal("IBAN", start, end, "IBAN, checksum right")


def _remainder(iban: str) -> int:
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97


# --- addresses of machines -------------------------------------------------------------------------------------------

_IP = re.compile(r"(?<![0-9A-Za-z_.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z_]|\.[0-9])")
_IP6 = re.compile(r"(?<![0-9A-Za-z_:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z_:])")


def ips(text: str) -> Iterator[Personal]:
    """Public addresses of version 4 and 6. Those of private networks and documentation are nobody's."""
    for pattern in (_IP, _IP6):
        for match in pattern.finditer(text):
            try:
                address = ip_address(match[0])
            except ValueError:
                continue
            if address.is_global and not (isinstance(address, IPv6Address) and address.is_multicast):
                yield Personal("IP", *match.span(), "public address")
