"""Settings: one class, read from the environment and `.env`, each with its unit and the reason of its default.

Nothing else in the package reads environment variables; keys of model nodes are read here too, and kept nowhere.
Hardware-derived values do not belong here: what is set here is what the owner decided.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mesh_assets.budgets import Budgets
from mesh_assets.errors import SettingsError
from mesh_assets.hours import ALWAYS, Hours
from mesh_assets.slices import dataset_key

PROJECT_ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20
# Where no server of an index is set, the embedded engine serves.
NO_SERVER = "off"
_DEPTHS = ("surface", "deep", "expert", "research")
_ENV_FILE = PROJECT_ROOT / ".env"
SHIPPED_NODES = PROJECT_ROOT / "mesh_assets" / "defaults" / "mesh.yaml"
OWN_NODES = PROJECT_ROOT / "mesh.yaml"
SHIPPED_BRIEFS = PROJECT_ROOT / "mesh_assets" / "defaults" / "briefs"
OWN_BRIEFS = PROJECT_ROOT / "briefs"
SHIPPED_LABELS = PROJECT_ROOT / "mesh_assets" / "defaults" / "labels.yaml"
OWN_LABELS = PROJECT_ROOT / "labels.yaml"
SHIPPED_PRINCIPLES = PROJECT_ROOT / "mesh_assets" / "defaults" / "principles.yaml"
OWN_PRINCIPLES = PROJECT_ROOT / "principles.yaml"


class Settings(BaseSettings):
    """What the owner of the machine can set, as `MESH_<NAME>` in the environment or in `.env`."""

    model_config = SettingsConfigDict(env_prefix="MESH_", env_file=_ENV_FILE, extra="ignore", frozen=True)

    state: Annotated[Path, Field(description="Folder of everything the mesh makes: lake, indexes, reports.")] = (
        PROJECT_ROOT / "data" / "state"
    )
    drops: Annotated[Path, Field(description="The drop area: each folder in it is a dataset.")] = (
        PROJECT_ROOT / "data" / "drops"
    )
    slice_mib: Annotated[
        int,
        Field(
            ge=0, le=1024, description="Target size of a slice in MiB; doubles as partitions run out; 0: by machine."
        ),
    ] = 0
    quiet_seconds: Annotated[
        float, Field(ge=0, description="A file is taken once it has not changed for this many seconds.")
    ] = 10.0
    growing_minutes: Annotated[
        float,
        Field(ge=0, description="A file that never becomes quiet is taken this often, to its last complete record."),
    ] = 10.0
    left_out: Annotated[
        str,
        Field(
            description="Names of files and folders that are not read, with commas between; `*` and `?` stand for any. "
            "The history in `.git` counts for code findings all the same."
        ),
    ] = ".git,.hg,.svn,__pycache__,.ipynb_checkpoints,.DS_Store,Thumbs.db"
    settle_seconds: Annotated[
        float,
        Field(ge=0, description="A slice that keeps changing is worked on once it has not for this many seconds."),
    ] = 60.0
    chunk_tokens: Annotated[
        int, Field(ge=32, le=8192, description="Largest chunk, in tokens; the default model reads 256.")
    ] = 256
    embedding_model: Annotated[
        str,
        Field(
            description="Name or path of a sentence-transformers model; the default ships with a package; "
            "`off` for words only."
        ),
    ] = "all-MiniLM-L6-v2"
    embedding_batch: Annotated[
        int, Field(ge=1, description="Texts embedded at once on a GPU; a CPU takes eight of one length.")
    ] = 32
    embedding_precision: Annotated[
        Literal["auto", "fp32", "int8"],
        Field(
            description="Of the model on a CPU: `auto` is bf16 where the processor computes in it, else `fp32`; `int8` "
            "takes a quarter of the memory for weights."
        ),
    ] = "auto"
    embedding_effort: Annotated[
        Literal["full", "two"],
        Field(
            description="`full` embeds every chunk by the model; `two` by static vectors distilled from it, at a "
            "twenty-fifth of the cost, and by the model the 50 candidates of each question."
        ),
    ] = "full"
    speech_model: Annotated[
        str, Field(description="Folder or name of a local speech model of transformers, as Whisper; `off` for none.")
    ] = "off"
    caption_model: Annotated[
        str, Field(description="Folder or name of a local model that puts pictures into words; `off` for none.")
    ] = "off"
    ner_model: Annotated[
        str,
        Field(
            description="Folder or name of a local model of transformers that tells names (token classification); "
            "`off` for none."
        ),
    ] = "off"
    summary_node: Annotated[
        str,
        Field(
            description="Node of `mesh.yaml` on this machine that writes a dataset's summary in its own words; `off`: "
            "the data's own sentences only."
        ),
    ] = "off"
    qdrant_url: Annotated[
        str,
        Field(
            description="Qdrant server that holds vectors in place of files, as `http://127.0.0.1:6333`; an API key "
            "as the password in it; `off` for files."
        ),
    ] = NO_SERVER
    elasticsearch_url: Annotated[
        str,
        Field(
            description="Elasticsearch server that holds words in place of files, as "
            "`http://user:password@127.0.0.1:9200`; `off` for files."
        ),
    ] = NO_SERVER
    neo4j_url: Annotated[
        str,
        Field(
            description="Neo4j server that the graph is loaded into and asked from, as "
            "`bolt://neo4j:password@127.0.0.1:7687`; `off` for tables."
        ),
    ] = NO_SERVER
    ledger_url: Annotated[
        str,
        Field(
            description="PostgreSQL database that holds money and the pace of nodes for several machines, as "
            "`postgresql://user:password@127.0.0.1:5432/mesh`; `off` for files."
        ),
    ] = NO_SERVER
    nodes: Annotated[
        Path,
        Field(description="The owner's model nodes, laid over the shipped ones; need not exist where it is unset."),
    ] = OWN_NODES
    briefs: Annotated[
        Path,
        Field(description="Folder of the owner's standing questions, laid over the shipped ones; need not exist."),
    ] = OWN_BRIEFS
    private: Annotated[
        str,
        Field(description="Datasets, divided by `;`, that no node off this machine is ever shown, or `none`."),
    ] = "none"
    evidence_tokens: Annotated[
        int, Field(ge=500, le=100_000, description="Most tokens of evidence that one question is asked over.")
    ] = 3000
    deep_below: Annotated[
        float, Field(ge=0, le=1, description="Confidence below which a case goes from surface to deep.")
    ] = 0.7
    expert_below: Annotated[float, Field(ge=0, le=1, description="The same from deep to expert.")] = 0.8
    research_below: Annotated[float, Field(ge=0, le=1, description="The same from expert to research.")] = 0.9
    techniques: Annotated[
        str,
        Field(
            description="Depths at which a case is answered by a research technique, several calls within its budget: "
            "`expert research`; `off` for one call always.",
        ),
    ] = "expert research"
    principles: Annotated[
        Path,
        Field(description="The owner's principles of reviews, laid over the shipped ones; need not exist where unset."),
    ] = OWN_PRINCIPLES
    labels: Annotated[
        Path,
        Field(description="The owner's labels of chunks, laid over the shipped ones; need not exist where unset."),
    ] = OWN_LABELS
    threads: Annotated[
        int, Field(ge=0, description="CPU threads of one run's model; 0 shares the cores among the runs.")
    ] = 0
    keep_free_mib: Annotated[
        int, Field(ge=0, description="Free space in MiB below which no slice is started; 0 never waits.")
    ] = 1024
    cores: Annotated[int, Field(ge=0, description="CPU cores that the mesh may use; 0 means all.")] = 0
    memory_gib: Annotated[
        float, Field(ge=0, description="Memory that the mesh may use, in GiB: limits the slices side by side; 0: all.")
    ] = 0.0
    hours: Annotated[
        str,
        Field(description="When it may work, local time: `19:00-07:00`, `Mon-Fri 19:00-07:00; Sat-Sun 00:00-24:00`."),
    ] = ALWAYS
    budgets: Annotated[
        str,
        Field(
            description="The most that model nodes may cost, in USD, for each call, case, run, problem, dataset and "
            "month (UTC); `dataset web-logs 20` is for one. What is left out has no limit."
        ),
    ] = "call 0.50; case 1; run 5; problem 10; dataset 10; month 20"
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the Dagster UI on 127.0.0.1.")] = 3000
    search_port: Annotated[
        int, Field(ge=0, le=65535, description="Port of the search page on 127.0.0.1; 0 for none.")
    ] = 3001

    @field_validator("state", "drops", "nodes", "briefs", "labels", "principles")
    @classmethod
    def _below_the_project(cls, folder: Path) -> Path:
        # A relative path means the same from whichever folder a command is called.
        return PROJECT_ROOT / folder.expanduser()

    @field_validator("qdrant_url", "elasticsearch_url", "neo4j_url", "ledger_url")
    @classmethod
    def _none_is_off(cls, url: str) -> str:
        return url.strip() or NO_SERVER

    @field_validator("techniques")
    @classmethod
    def _depths_or_off(cls, techniques: str) -> str:
        named = techniques.split()
        if named != ["off"] and (not named or set(named) - set(_DEPTHS)):
            raise ValueError(f"it is {techniques!r}; give some of {' '.join(_DEPTHS)} with blanks between, or off")
        return techniques

    @field_validator("hours")
    @classmethod
    def _readable(cls, hours: str) -> str:
        Hours.parse(hours)
        return hours

    @field_validator("budgets")
    @classmethod
    def _countable(cls, budgets: str) -> str:
        Budgets.parse(budgets)
        return budgets

    @property
    def private_datasets(self) -> frozenset[str]:
        """Keys of the datasets of `private`, which may be named as their folders are."""
        names = [name.strip() for name in self.private.split(";")]
        return frozenset(key for name in names if name and name != "none" for key in (name, dataset_key(name)))

    @property
    def technique_depths(self) -> frozenset[str]:
        """The depths of `techniques`; none where they are off."""
        return frozenset(self.techniques.split()) - {"off"}

    @property
    def limits(self) -> Budgets:
        """`budgets`, parsed."""
        return Budgets.parse(self.budgets)

    @property
    def working_hours(self) -> Hours:
        """`hours`, parsed."""
        return Hours.parse(self.hours)

    @property
    def slice_bytes(self) -> int:
        """Target size of a slice in bytes as it was set; 0 where it follows from the machine."""
        return self.slice_mib * MIB


def load_settings() -> Settings:
    """The settings in force; SettingsError names the variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"MESH_{'_'.join(map(str, e['loc'])).upper()}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise SettingsError(
            f"The settings cannot be used: {faults}.", remedy="Correct them in the environment or in `.env`."
        ) from error


def secret(variable: str) -> str:
    """The key in an environment variable or in `.env`, without blanks around it; empty where there is none."""
    if not variable:
        return ""
    found = os.environ.get(variable)
    if found is None and _ENV_FILE.is_file():
        found = dotenv_values(_ENV_FILE).get(variable)
    return (found or "").strip()
