"""Text for the Dagster UI. Drop text is hostile there too: what comes from a drop is escaped before it is Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mesh_assets.reports.markdown import escape_markdown
from mesh_assets.reports.prose import one_line, shorten
from mesh_assets.schemas.rejects import Reject, printable

# The UI shows Markdown inline below 1,000 characters and hides it behind a button above.
_REASONS = 5


def rejects_markdown(rejects: Sequence[Reject]) -> str:
    """Rejects by reason, most frequent first, each with an example and its remedy."""
    counts = Counter(reject.reason for reject in rejects)
    examples = {reject.reason: reject for reject in reversed(rejects)}
    lines = ["| rejects | reason | for example | remedy |", "| --: | --- | --- | --- |"]
    for reason, count in counts.most_common(_REASONS):
        example = examples[reason]
        lines.append(f"| {count:,} | {_cell(reason, 40)} | {_cell(example.path, 40)} | {_cell(example.remedy, 80)} |")
    if len(counts) > _REASONS:
        lines.append(f"| | {len(counts) - _REASONS} more reasons | | |")
    return "\n".join(lines)


def _cell(text: str, limit: int) -> str:
    return escape_markdown(shorten(one_line(printable(text)), limit))
