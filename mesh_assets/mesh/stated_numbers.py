"""Whether the numbers of a statement come from what it cites: they stand there, are counts in it, or follow from it.

A number follows from others by one step that the words of the statement announce: a share, a sum, a difference, a mean,
another unit. Digits that name something (`E3`, `5xx`, `10.0.0.1`, dates and times of day) are no quantities and are not
asked for. What a statement says in words (`twelve`) is not read. Wrong sums belong to `routing.arithmetic`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

from mesh_assets.mesh.routing.arithmetic import NUMBER, numbers

# Pairs of more operands are more often right by accident than by reason.
_MAX_OPERANDS = 24
_FACTORS: dict[str, tuple[float, ...]] = {
    "thousand": (1e3,),
    "million": (1e6,),
    "billion": (1e9,),
    "k": (1e3, 1024.0),
    "m": (1e6, 60.0),
    "kb": (1e3, 1024.0),
    "mb": (1e6, 1024.0**2, 1e3, 1024.0),
    "gb": (1e9, 1024.0**3, 1e3, 1024.0, 1e6, 1024.0**2),
    "tb": (1e12, 1024.0**4, 1e3, 1024.0),
    "kib": (1024.0,),
    "mib": (1024.0**2, 1024.0),
    "gib": (1024.0**3, 1024.0, 1024.0**2),
    "ms": (1e-3, 1e3),
    "s": (1e-3, 1e3),
    "second": (1e-3, 1e3),
    "seconds": (1e-3, 1e3),
    "min": (60.0,),
    "minute": (60.0, 60e3),
    "minutes": (60.0, 60e3),
    "h": (60.0, 3600.0),
    "hour": (60.0, 3600.0),
    "hours": (60.0, 3600.0),
    "day": (24.0, 1440.0, 86400.0),
    "days": (24.0, 1440.0, 86400.0),
    "%": (0.01,),
    "percent": (0.01,),
}
# What units are worth in one unit of what they measure, where their sign is not ambiguous.
_SCALES: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("ms",), ("time", 0.001)),
    **dict.fromkeys(("s", "second", "seconds"), ("time", 1.0)),
    **dict.fromkeys(("min", "minute", "minutes"), ("time", 60.0)),
    **dict.fromkeys(("h", "hour", "hours"), ("time", 3600.0)),
    **dict.fromkeys(("day", "days"), ("time", 86400.0)),
    **dict.fromkeys(("%", "percent"), ("share", 0.01)),
    **{unit: ("bytes", 1e3**power) for power, unit in enumerate(("kb", "mb", "gb", "tb"), 1)},
    **{unit: ("bytes", 1024.0**power) for power, unit in enumerate(("kib", "mib", "gib"), 1)},
    **{unit: ("count", 10.0**power) for power, unit in ((3, "thousand"), (6, "million"), (9, "billion"))},
}
_TIMES_OF_DAY = ("s", "min", "h", "second", "minute", "hour", "seconds", "minutes", "hours")
_UNITS = "|".join(sorted(map(re.escape, _FACTORS), key=len, reverse=True))
# A number with its unit. What stands directly before or after it tells a quantity from a name.
_QUANTITY = re.compile(
    rf"(?<![\w.,:/#-])-?(?P<number>{NUMBER})(?:\s?(?P<unit>{_UNITS})(?![\w]))?(?P<rest>\w|[-./:]\w)?", re.IGNORECASE
)
_FRACTION = re.compile(r"(?<![\w./])(\d+)/(\d+)(?![\w/]|\.\d)")
_CLOCK = re.compile(r"(?<!\d)([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?!\d)")
_ROUGHLY = re.compile(
    r"\b(?:about|around|roughly|approximately|approx|nearly|almost|over|under|some|circa|"
    r"(?:more|less|fewer) than|at (?:least|most)|up to)\b|[~≈<>]",
    re.IGNORECASE,
)
_RATE = re.compile(r"\b(?:per|a|an|each|every) (second|minute|hour|day)\b|(?<=/)(s|min|h)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{3,}")


def _cue(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b|%", re.IGNORECASE)


# Words that announce a step, and what the step gives of two numbers.
_STEPS: tuple[tuple[re.Pattern[str], Callable[[float, float], tuple[float, ...]]], ...] = (
    (_cue("percent|percentage|share|ratio|fraction|rate"), lambda a, b: (a / b, 100 * a / b, 100 * (a - b) / b)),
    (_cue("times|twice|fold|doubled|tripled|factor|average|mean|per|each"), lambda a, b: (a / b,)),
    (
        _cue("more|fewer|less|difference|longer|shorter|later|earlier|after|between|took|lasted|remain\\w*|other|rest|"
             "(?:ris|ros|rise|fell|fall|grew|grow|increas|decreas|dropp?|gain|lost|los)\\w*"),
        lambda a, b: (abs(a - b),),
    ),
    (_cue("total|totals|totalling|together|sum|combined|altogether|overall"), lambda a, b: (a + b,)),
)  # fmt: skip
_SUM, _MEAN = _cue("total|totals|together|sum|combined|altogether|overall"), _cue("average|mean|per|each")


@dataclass(frozen=True, slots=True)
class Sources:
    """What numbers may come from: `texts` that a statement cites, and what those `given` otherwise say (the question,
    results of queries). `operands` are the numbers that a step may start from: those of quotes and of results. Of
    `facts`, texts whose numbers are in `given` as far as they still hold, only times of day are read.
    """

    texts: Sequence[str]
    given: Sequence[float]
    operands: Sequence[float]
    facts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Quantity:
    text: str
    unit: str
    values: tuple[float, ...]  # as written, and in the units that it may be converted from
    slack: tuple[float, ...]  # half of the last digit that is written, of each


def unaccounted(statement: str, sources: Sources) -> list[str]:
    """The numbers of `statement`, as it writes them, that nothing in `sources` says, counts or gives."""
    known = [*sources.given, *(value for text in sources.texts for value in numbers(text))]
    missing = [each for each in _quantities(statement) if not _is_near(each, known)]
    if not missing:
        return []
    lengths = _durations([*sources.texts, *sources.facts])
    derived = [*_counts(statement, sources.texts), *_steps(statement, sources.operands)]
    derived += _rates(statement, sources.operands, lengths)
    return [
        each.text
        for each in missing
        if not _is_near(each, derived) and not (each.text.lower().endswith(_TIMES_OF_DAY) and _is_near(each, lengths))
    ]


def states_numbers(statement: str) -> bool:
    """Whether it states a quantity, and not only digits that name something."""
    return bool(_quantities(statement))


def without_numbers(text: str) -> str:
    """`text` without its numbers and their units."""
    return _QUANTITY.sub(" ", text)


def numbers_agree(one: str, other: str) -> bool:
    """Whether two statements about one thing can both be right by their numbers: all of one are among the other's.

    They are compared as they are rounded, in units that convert; a statement without numbers contradicts none.
    """
    first, second = _quantities(one), _quantities(other)
    if len(first) > len(second):
        first, second = second, first
    return all(any(_is_same(each, among) for among in second) for each in first)


def _is_same(one: _Quantity, other: _Quantity) -> bool:
    """In a unit that both have where both are known, else as written or in any unit that may be meant."""
    if one.unit in _SCALES and other.unit in _SCALES:
        (dimension, factor), (other_dimension, other_factor) = _SCALES[one.unit], _SCALES[other.unit]
        slack = max(one.slack[0] * factor, other.slack[0] * other_factor)
        apart = abs(one.values[0] * factor - other.values[0] * other_factor)
        return dimension == other_dimension and apart <= slack * (1 + 1e-9)
    return _is_near(one, other.values) or _is_near(other, one.values)


def _quantities(statement: str) -> list[_Quantity]:
    is_rough = bool(_ROUGHLY.search(statement))
    found: list[_Quantity] = []
    for match in _QUANTITY.finditer(_FRACTION.sub(r"\1 of \2", statement)):
        if match["rest"]:
            continue
        written = match["number"]
        value = float(written.replace(",", ""))
        half = 0.5 * 10.0 ** -len(written.partition(".")[2])
        if is_rough and value and "." not in written:
            digits = written.replace(",", "")
            half = float(f"5e{len(digits) - len(digits.rstrip('0')) - 1}")
        unit = (match["unit"] or "").lower()
        factors = (1.0, *_FACTORS.get(unit, ()))
        found.append(
            _Quantity(
                match[0].strip(),
                unit,
                tuple(value * factor for factor in factors),
                tuple(half * factor for factor in factors),
            )
        )
    return found


def _is_near(quantity: _Quantity, others: Sequence[float]) -> bool:
    """Whether one of `others` is the quantity, rounded to the digits that it is written with."""
    return any(
        abs(abs(other) - value) <= slack + 1e-9 * value
        for value, slack in zip(quantity.values, quantity.slack, strict=True)
        for other in others
    )


def _counts(statement: str, texts: Sequence[str]) -> Iterator[float]:
    """How many pieces are cited, how many lines they have, and how many lines hold a word of the statement."""
    lines = [line.lower() for text in texts for line in text.splitlines() if line.strip()]
    yield float(len(texts))
    yield float(len(lines))
    for word in {word.lower().removesuffix("s") for word in _WORD.findall(statement)}:
        yield float(sum(word in line for line in lines))


def _steps(statement: str, operands: Sequence[float]) -> Iterator[float]:
    """What one step of `operands` gives, of the steps that the statement announces."""
    values = list(dict.fromkeys(operands))[:_MAX_OPERANDS]
    steps = [step for cue, step in _STEPS if cue.search(statement)]
    for one, other in permutations(values, 2):
        for step in steps:
            if other:
                yield from step(one, other)
    if operands and _SUM.search(statement):
        yield sum(operands)
    if operands and _MEAN.search(statement):
        yield sum(operands) / len(operands)


def _rates(statement: str, operands: Sequence[float], lengths: Sequence[float]) -> Iterator[float]:
    """What each operand is in a second, minute or hour of each length, where the statement says `per minute`."""
    for unit in map(max, _RATE.findall(statement)):
        for length in (length for length in lengths if length):
            yield from (value * _SCALES[unit.lower()][1] / length for value in list(operands)[:_MAX_OPERANDS])


def _durations(texts: Sequence[str]) -> list[float]:
    """Seconds between the times of day that the texts name."""
    moments = [
        3600.0 * int(hour) + 60.0 * int(minute) + int(second or 0)
        for text in texts
        for hour, minute, second in _CLOCK.findall(text)
    ]
    moments = list(dict.fromkeys(moments))[:_MAX_OPERANDS]
    return [abs(later - earlier) for later, earlier in permutations(moments, 2)]
