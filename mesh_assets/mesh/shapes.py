"""What goes to a node and what comes back: a case with its evidence, an answer with its claims.

Cases are made by the analyses, and answers judged by `validation`; nothing here calls anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from blake3 import blake3

from mesh_assets.schemas.citations import Citation

Depth = Literal["surface", "deep", "expert", "research"]
DEPTHS: tuple[Depth, ...] = ("surface", "deep", "expert", "research")
ProofBy = Literal["numbers", "word", "past"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a case may be answered from. `label` is how an answer cites it, such as `E3`, and unique in its case.

    Text of a chunk has its `citation`; a computed fact (statistics, the result of a query) has the `query` instead that
    computes it again.
    """

    label: str
    text: str
    citation: Citation | None = None
    query: str | None = None


@dataclass(frozen=True)
class Case:
    """One question over a bounded set of evidence.

    `schema` is the JSON schema of the answer. The evidence of a `private` case is shown to nodes on this machine only.
    `prompt_version` names the brief and its version that it comes from.
    """

    dataset: str
    question: str
    evidence: tuple[Evidence, ...]
    schema: Mapping[str, object]
    speciality: str = "general"
    private: bool = False
    prompt_version: str = ""
    slice: str | None = None

    @cached_property
    def id(self) -> str:
        """32 hex digits of all that the answer depends on: of the evidence its text, not where it stands."""
        said = [self.dataset, self.question, self.prompt_version, json.dumps(self.schema, sort_keys=True)]
        said += [f"{each.label}\x1e{each.text}" for each in self.evidence]
        return blake3("\x1f".join(said).encode("utf-8", "surrogatepass")).hexdigest(length=16)


@dataclass(frozen=True, slots=True)
class Proof:
    """A statement that was put to the data itself, by a query or a prediction that its own claim brought along.

    `by` the numbers that the query gives, its one word (true or false), or the past of what is predicted. `what` was
    tried, as SQL or in words; `holds` is None where that cannot be told; `result` has the figures, as sentences.
    """

    statement: str
    by: ProofBy
    what: str
    holds: bool | None
    result: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of an answer, and where it can be seen: bytes of files, and queries that compute a fact again.

    A claim with neither carries nothing. `tests` are those of its own that it did not fail by a query.
    """

    statement: str
    citations: tuple[Citation, ...]
    queries: tuple[str, ...] = ()
    tests: tuple[Proof, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one node said to a case at one depth.

    `reported` is the node's own word on how sure it is, 0 to 1: no probability until it is calibrated. `receipts` name
    the calls that were billed for it, none where it came from the cache or from a node that costs nothing.
    """

    case_id: str
    node: str
    depth: Depth
    text: str
    claims: tuple[Claim, ...]
    reported: float | None
    receipts: tuple[str, ...]
