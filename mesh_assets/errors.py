"""The errors of the mesh, each with what to do next.

    MeshError
    ├── SettingsError          a setting that cannot work
    ├── KeyFormatError         a dataset or slice key that is none
    ├── LakeError              the store of record
    │   ├── MissingUpstreamError   a stage asked for a table that is not there
    │   └── CorruptTableError      a table that cannot be read or breaks its schema
    ├── SourceError            a file of a drop that cannot be used; becomes a reject
    │   ├── SourceChangedError     it is not the file that intake read
    │   └── FormatError            its content is broken or beyond a limit: the same each time
    ├── ModelError             a local model that cannot be loaded or run
    ├── NodeError              a call to a model node that failed; says whether another may not
    ├── BudgetError            money that is not there for a call, or a price that is not known
    ├── LedgerError            the record of money that cannot be read or written
    ├── RoutingError           records or candidates that no choice of a node can be made from
    ├── GateError              scores or verdicts that no gate can be made from or read with
    ├── CalibrationError       verdicts or signals that no confidence can be made from
    ├── IndexDownError         an index that does not answer; its slice is recorded as pending
    ├── CitationError          a citation that cannot be read or opened
    ├── QueryError             a query over the lake that cannot be run
    └── ServiceError           Dagster's processes could not be started or reached

What a single file does wrong is no exception beyond the function that met it: it becomes a row of the
rejects table. Only what stops a whole slice, or a command, is raised to the user.
"""

from __future__ import annotations


class MeshError(Exception):
    """Base of every error that the mesh raises on purpose.

    `message` says what happened and to which file or setting, `remedy` what the user can do about it.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


class SettingsError(MeshError):
    """A setting has a value that cannot work."""


class KeyFormatError(MeshError):
    """A text is no key of a dataset or slice."""


class LakeError(MeshError):
    """The lake cannot be read or written."""


class MissingUpstreamError(LakeError):
    """A table that a stage reads does not exist. It is never read as empty."""


class CorruptTableError(LakeError):
    """A table of the lake is damaged or does not have its schema."""


class SourceError(MeshError):
    """A file of a drop cannot be used. `reason` is the short phrase for the rejects table."""

    def __init__(self, reason: str, message: str, *, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.reason = reason


class SourceChangedError(SourceError):
    """A file is not, or no longer, the one that the manifest describes."""


class FormatError(SourceError):
    """The reader of a file's format cannot use its content. Another try with the same bytes ends the same way."""


class ModelError(MeshError):
    """A local model cannot be found, loaded or run."""


class NodeError(MeshError):
    """A call to a model node failed.

    `failure` is the kind: `limit`, `overloaded`, `timeout`, `connection`, `server`, `refused` (the request or the key),
    `answer` (what came back is none), `resting` (it failed so often, or is so busy, that it is not asked now).
    `may_pass` says whether the same call may succeed later, `retry_after` after how many seconds where the node says
    so, and `may_be_billed` whether the provider may have counted it. `receipts` name what was billed for its tries.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str,
        failure: str,
        may_pass: bool = False,
        retry_after: float | None = None,
        may_be_billed: bool = False,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.failure = failure
        self.may_pass = may_pass
        self.retry_after = retry_after
        self.may_be_billed = may_be_billed
        self.receipts: tuple[str, ...] = ()


class BudgetError(MeshError):
    """A call would pass a budget, or what it costs is not known: it is not made.

    `kind` is that of the budget (`case`, `month`), which tells who else need not try; empty for a price. `receipts`
    name what was billed for tries before.
    """

    def __init__(self, message: str, *, remedy: str, kind: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.kind = kind
        self.receipts: tuple[str, ...] = ()


class LedgerError(MeshError):
    """The ledger cannot be read or written. No call is made without it."""


class RoutingError(MeshError):
    """Records or candidates do not fit together, so no node can be chosen by them."""


class GateError(MeshError):
    """Scores or verdicts are none that a gate can be made from, or its file is none of ours."""


class CalibrationError(MeshError):
    """Verdicts, signals or a kept calibration do not fit together, so no confidence can be made from them."""


class IndexDownError(MeshError):
    """An index does not answer. The slice goes on; its index step stays pending."""


class CitationError(MeshError):
    """A citation cannot be parsed, or what it cites cannot be opened."""


class QueryError(MeshError):
    """A query over the lake is none that may be run, or DuckDB refuses it."""


class ServiceError(MeshError):
    """Dagster's processes could not be started, or do not answer."""
