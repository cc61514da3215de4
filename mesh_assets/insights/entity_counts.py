"""The most frequent entities of a slice, and the secrets that lie in it as a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.wording import amount, plural
from mesh_assets.schemas.citations import Citation

# Entities of one label that are counted at once; past it, those met once are forgotten.
_MAX_COUNTED = 5000
_LISTED = 8
_SHOWN_SECRETS = 8
_PLURAL = {
    "email": "e-mail addresses",
    "url": "web addresses",
    "ip": "IP addresses",
    "host": "hosts",
    "path": "file paths",
    "time": "points in time",
    "amount": "amounts of money",
    "version": "versions",
    "uuid": "UUIDs",
    "error_code": "error codes",
    "exception": "exceptions",
    "identifier": "identifiers",
}
# Numbers without a name: each is said once, together they say nothing.
_UNCOUNTED = frozenset({"percent", "duration", "time", "secret"})


@dataclass(slots=True)
class _Counted:
    count: int
    first: Citation


class EntityInsight:
    """Counts entities by label and text, keeping where each was met first."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, _Counted]] = {}
        self._totals: Counter[str] = Counter()
        self._secrets: Counter[str] = Counter()
        self._shown: list[Citation] = []
        self._secret_files: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()

    def observe(self, chunks: pa.RecordBatch, insights: pa.RecordBatch, vectors: NDArray[np.float32]) -> None:
        """Count the entities of the chunks."""
        names = ("dataset", "path", "source_hash", "line_start", "kind")
        columns = [cast("list[object]", chunks.column(name).to_pylist()) for name in names]
        lists = cast("list[list[dict[str, object]] | None]", insights.column("entities").to_pylist())
        for entities, *place in zip(lists, *columns, strict=True):
            if entities:
                dataset, path, digest, line, kind = cast("tuple[str, str, str, int, str]", tuple(place))
                self._kinds[kind] += len(entities)
                for entity in entities:
                    label, text = cast(str, entity["label"]), cast(str, entity["text"])
                    start, stop = cast(int, entity["byte_start"]), cast(int, entity["byte_stop"])
                    self._count(label, text, Citation(dataset, path, start, stop, digest, line, text))

    def _count(self, label: str, text: str, citation: Citation) -> None:
        if label == "secret":
            self._secrets[text.split(",")[0]] += 1
            if citation.path in self._secret_files or len(self._secret_files) < _MAX_COUNTED:
                self._secret_files[citation.path] += 1
            if len(self._shown) < _SHOWN_SECRETS:
                self._shown.append(citation)
        if label in _UNCOUNTED:
            return
        self._totals[label] += 1
        counted = self._labels.setdefault(label, {})
        known = counted.get(text)
        if known is not None:
            known.count += 1
            return
        if len(counted) >= _MAX_COUNTED:
            often = sorted(counted.items(), key=lambda item: -item[1].count)[: _MAX_COUNTED // 2]
            counted = self._labels[label] = dict(often)
        counted[text] = _Counted(1, citation)

    def conclude(self) -> Iterable[Insight]:
        """The secrets, then each label's most frequent entities."""
        yield from self._secret_finding()
        kind = self._kinds.most_common(1)[0][0] if len(self._kinds) == 1 else "mixed"
        for label, total in self._totals.most_common():
            ranked = sorted(self._labels[label].items(), key=lambda item: (-item[1].count, item[0]))
            ranked = [item for item in ranked if item[1].count > 1][:_LISTED]
            if not ranked:
                continue
            name = _PLURAL.get(label, label)
            listed = ", ".join(f"{text[:80]} ({amount(held.count)})" for text, held in ranked)
            yield Insight(
                kind=kind,
                type="entities",
                title=f"Most frequent {name}",
                statement=f"{plural(total, 'mention')} of {name}; the most frequent: {listed}.",
                score=0.25,
                value={"label": label, "total": total, "counts": {text: held.count for text, held in ranked}},
                evidence=tuple(held.first for _, held in ranked[:3]),
            )

    def _secret_finding(self) -> Iterator[Insight]:
        if not self._secrets:
            return
        total = sum(self._secrets.values())
        files = len(self._secret_files)
        listed = ", ".join(f"{plural(count, name, _many(name))}" for name, count in self._secrets.most_common())
        places = ", ".join(path for path, _ in self._secret_files.most_common(3))
        # A password is told by the word before it, which examples and tests use too; a key by its own form.
        certain = any(name != "password or key" for name in self._secrets)
        yield Insight(
            kind="mixed" if len(self._kinds) > 1 else next(iter(self._kinds)),
            type="secret",
            title="Secrets in plain text",
            statement=f"{plural(total, 'secret')} in {plural(files, 'file')} can be read by anyone who has the files: "
            f"{listed}. Look at {places}; remove and replace what is in use.",
            score=0.9 if certain else 0.7,
            value={"secrets": dict(self._secrets), "files": dict(self._secret_files.most_common(20))},
            evidence=tuple(self._shown),
        )


def _many(name: str) -> str:
    return name.replace("password", "passwords", 1).replace(" or key", " or keys") if "password" in name else f"{name}s"
