"""A report as Markdown for any viewer, and the few lines of it that the Dagster UI shows inline.

Text of drops can make no link, image, HTML, heading or table break: `escape_markdown`, `code_span` and `fenced` are
the only ways in which it gets here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from mesh_assets.reports.merging import Entry
from mesh_assets.reports.model import Report, Section
from mesh_assets.reports.plots import sparkline
from mesh_assets.reports.previews import Strip
from mesh_assets.reports.profiles import Profile
from mesh_assets.reports.prose import (
    amount,
    count,
    figure,
    one_line,
    place,
    shorten,
    show_command,
    span,
    visible,
    words,
)
from mesh_assets.reports.values import Breakdown, Series, at, coarsened
from mesh_assets.schemas.citations import Citation

# The Dagster UI shows Markdown inline only below this many UTF-16 units (measured); longer ones hide behind a click.
UI_LIMIT = 1000
# Findings that a line or two in the UI can name.
UI_FINDINGS = 4
_UI_TITLE, _UI_STATEMENT = 80, 140

# Whatever may open an inline construct in CommonMark, GitHub's tables, strikethrough, mathematics and footnotes.
_INLINE = re.compile(r"[\\`*_\[\]<>&|~$#{}^]")
# What opens a block at the start of a line: a list, a heading underline, a rule, an ordered list.
_BLOCK_START = re.compile(r"^([0-9]{1,9}(?=[.)])|(?=[-+=:]))")
# What viewers turn into links by themselves, even when it is escaped: a zero-width space between the two groups
# keeps them from it.
_AUTOLINK = re.compile(r"(:)(?=//)|(\bwww)(?=\.)|(?<=[\w.+-])(@)(?=[\w-])", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"
_BLOCKS = "▁▂▃▄▅▆▇█"


def escape_markdown(text: str) -> str:
    """`text` on one line as plain text of a Markdown paragraph, heading, list item or table cell."""
    escaped = _INLINE.sub(r"\\\g<0>", one_line(text))
    escaped = _BLOCK_START.sub(r"\1\\", escaped)
    return _AUTOLINK.sub(lambda m: f"{m[0]}{_ZERO_WIDTH_SPACE}", escaped)


def code_span(text: str) -> str:
    """`text` on one line as code, between more backticks than it holds in a row. Not for table cells."""
    line = one_line(text) or " "
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fenced(text: str) -> str:
    """`text` as a block of code; the fence is longer than any run of backticks in it."""
    shown = visible(text)
    fence = "`" * max(_longest_run(shown) + 1, 3)
    return f"{fence}text\n{shown}\n{fence}"


def markdown_report(report: Report) -> str:
    """The whole of `report`, complete and of a bounded size."""
    blocks = [f"# {escape_markdown(report.title)}", escape_markdown(report.lead), _table(("", ""), report.facts)]
    for section in report.sections:
        blocks += _section(section)
    return "\n\n".join(blocks) + "\n"


def ui_summary(report: Report, limit: int = UI_LIMIT) -> str:
    """The top of `report` as Markdown of fewer than `limit` UTF-16 units, with a sparkline where it fits.

    Whole lines only: nothing is cut inside an escape or a link. An empty text where not even the first line fits.
    """
    entries = report.sections[0].entries[:UI_FINDINGS]
    lead = escape_markdown(shorten(report.lead, 300))
    picture = next((_picture(entry.values.series) for entry in entries if entry.values.series), "")
    # A picture may not crowd out the names of the first findings.
    if _utf16_units(lead) + _utf16_units(picture) + 3 * _UI_TITLE > limit:
        picture = ""
    room = limit - 1 - (_utf16_units(picture) + 2 if picture else 0)
    lines: list[str] = []
    for forms in [(lead,), *((_ui_finding(entry, _UI_STATEMENT), _ui_finding(entry, 0)) for entry in entries)]:
        fitting = next((form for form in forms if _utf16_units("\n\n".join([*lines, form])) <= room), None)
        if fitting is not None:
            lines.append(fitting)
    return "\n\n".join([*lines, picture] if picture else lines)


def _ui_finding(entry: Entry, statement_limit: int) -> str:
    title = escape_markdown(shorten(one_line(entry.title), _UI_TITLE)) or words(entry.type)
    statement = escape_markdown(shorten(one_line(entry.statement), statement_limit)) if statement_limit else ""
    return f"**{title}** {statement}".rstrip()


def _picture(series: Series) -> str:
    return f"![](data:image/svg+xml;base64,{base64.b64encode(sparkline(series).encode()).decode()})"


def _utf16_units(text: str) -> int:
    """The length that JavaScript sees."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _section(section: Section) -> list[str]:
    blocks = [f"## {escape_markdown(section.title)}"]
    if section.lead:
        blocks.append(escape_markdown(section.lead))
    if section.strips:
        blocks.append("\n".join(map(_strip, section.strips)))
    for entry in section.entries:
        blocks += _entry(entry)
    for group in section.unread:
        examples = "".join(
            f"\n  - {code_span(path)} {escape_markdown(detail)}".rstrip() for path, detail in group.examples
        )
        head = f"- **{escape_markdown(group.reason) or 'no reason'}** ({group.count:,}, {words(group.stage)}): "
        blocks.append(head + escape_markdown(group.remedy) + examples)
    if section.facts:
        blocks.append(_table(("", ""), section.facts))
    if section.more:
        blocks.append(f"And {section.more:,} more, not shown here.")
    return blocks


def _entry(entry: Entry) -> list[str]:
    about = [words(entry.type), words(entry.kind), span(entry.time_start, entry.time_stop)]
    if entry.slices:
        about.append(f"{amount(len(entry.slices), 'slice')}: {', '.join(entry.slices[:3])}")
    if entry.is_finding:
        about.append(f"score {entry.score:.2f}")
    blocks = [
        f"### {escape_markdown(entry.title) or words(entry.type)}",
        " · ".join(escape_markdown(part) for part in about if part),
        escape_markdown(entry.statement),
        entry.note,
    ]
    if entry.values.series:
        blocks.append(_series(entry.values.series))
    if entry.values.profile:
        blocks.append(_profile(entry.values.profile))
    blocks += [_breakdown(breakdown) for breakdown in entry.values.breakdowns]
    if entry.values.figures:
        figures = ((words(name), figure(value, name)) for name, value in entry.values.figures)
        blocks.append(" · ".join(f"{escape_markdown(name)}: {escape_markdown(value)}" for name, value in figures))
    blocks += [_citation(citation) for citation in entry.evidence]
    if entry.citations > len(entry.evidence):
        blocks.append(f"{entry.citations - len(entry.evidence):,} more citations are in the table of insights.")
    return [block for block in blocks if block]


def _strip(strip: Strip) -> str:
    """What the pictures of a strip show, in words: the pictures are in the HTML report."""
    shown = "".join(
        f"\n  - {code_span(preview.place or preview.path)} {escape_markdown(preview.label)}"
        for preview in strip.previews
    )
    more = f"\n  - and {strip.more:,} more" if strip.more else ""
    return f"- {code_span(strip.title)}{shown}{more}"


def _series(series: Series) -> str:
    """The series as a row of block characters, which every viewer shows."""
    small = coarsened(series, 60)
    low, high = min(0.0, *small.y), max(0.0, *small.y)
    top = len(_BLOCKS) - 1
    drawn = "".join(_BLOCKS[round(top * (y - low) / ((high - low) or 1.0))] for y in small.y)
    peak = max(range(len(series.y)), key=lambda i: series.y[i])
    x = [at(label) for label in series.x]
    text = f"from {x[0]} to {x[-1]}; at most {count(series.y[peak])} {series.unit} at {x[peak]}"
    if series.marked:
        text += f"; marked: {x[series.marked[0]]} to {x[series.marked[1]]}"
    return f"{code_span(drawn)} {escape_markdown(text)}"


def _profile(profile: Profile) -> str:
    rows = [
        (column.name, column.type, column.filled, column.distinct, column.values, _drawn(column.bars))
        for column in profile.columns
    ]
    if profile.more:
        rows.append((f"and {profile.more:,} more columns", "", "", "", "", ""))
    return _table(("Column", "Type", "Filled", "Distinct", "Values", "Distribution"), rows)


def _drawn(heights: tuple[float, ...]) -> str:
    """Heights as a row of block characters."""
    highest = max(heights, default=0.0) or 1.0
    return "".join(_BLOCKS[round((len(_BLOCKS) - 1) * height / highest)] for height in heights)


def _breakdown(breakdown: Breakdown) -> str:
    rows = [(label, figure(n, breakdown.name)) for label, n in breakdown.entries]
    if breakdown.more:
        rows.append((f"and {breakdown.more:,} more", ""))
    return _table((words(breakdown.name), ""), rows)


def _citation(citation: Citation) -> str:
    head = f"Evidence: {code_span(place(citation))}, open it with {code_span(show_command(citation))}"
    return f"{head}\n\n{fenced(citation.quote)}" if citation.quote.strip() else head


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [" | ".join(map(escape_markdown, cells)) for cells in (head, *rows)]
    lines.insert(1, " | ".join("---" for _ in head))
    return "\n".join(f"| {line} |" for line in lines)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)
