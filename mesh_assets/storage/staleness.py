"""Why a slice is stale: what its tables were made from and by, against what they would be made from now.

Staleness is told by the tables' own footers, not by Dagster, which gives up at a hundred slices. Whether a run is at
work or has failed is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from mesh_assets.errors import CorruptTableError
from mesh_assets.stages import ASSETS, SLICE_ASSETS
from mesh_assets.storage.lake import Footer, Lake

# Settings of a footer that decide its rows, with the words for them.
_SETTINGS = {
    "chunk_tokens": "MESH_CHUNK_TOKENS",
    "model": "embedding model",
    "ner_model": "MESH_NER_MODEL",
    "speech_model": "MESH_SPEECH_MODEL",
    "caption_model": "MESH_CAPTION_MODEL",
    "print_reader": "text in pictures read by",
    "labels": "labels and your corrections of them",
    "briefs": "briefs",
    "evidence_tokens": "tokens of evidence",
    "nodes": "nodes of mesh.yaml",
    "calibration": "calibration",
    "deep": "MESH_DEEP_BELOW",
    "expert": "MESH_EXPERT_BELOW",
    "research": "MESH_RESEARCH_BELOW",
    "techniques": "MESH_TECHNIQUES",
    "principles": "principles",
}


def stale_slices(lake: Lake, versions: Mapping[str, int], settings: Mapping[str, object]) -> dict[str, str]:
    """Slices that a run would not leave as they are, with the first reason of each.

    `versions` are those of the manifest; `settings` the present values of what `why_stale` compares. Reads the footer
    of every table of the slices.
    """
    reasons = {key: next(why_stale(footers_of(lake, key), versions[key], settings), None) for key in versions}
    return {key: why for key, why in reasons.items() if why is not None}


def footers_of(lake: Lake, slice_key: str) -> dict[str, Footer]:
    """The footers of a slice's tables by asset, in flow order, without those that are missing or damaged."""
    found: dict[str, Footer] = {}
    for asset in SLICE_ASSETS:
        with suppress(CorruptTableError):
            table = lake.find(asset, slice_key)
            if table is not None:
                found[asset] = table.footer
    return found


def why_stale(footers: Mapping[str, Footer], version: int, settings: Mapping[str, object]) -> Iterator[str]:
    """Why tables of one slice are stale, in flow order; nothing where all are as they would be made now.

    `footers` by asset, `version` that of the slice in its manifest, `settings` the present values of `_SETTINGS`; one
    that is left out is not compared.
    """
    sources = footers.get("raw_partitions")
    if sources is not None and sources.extra.get("slice_version", 0) < version:
        yield "its files changed"
    for asset in SLICE_ASSETS:
        if asset in footers:
            yield from _why_table(asset, footers, settings)
        else:
            yield f"{asset} is missing or damaged"


def _why_table(asset: str, footers: Mapping[str, Footer], settings: Mapping[str, object]) -> Iterator[str]:
    footer = footers[asset]
    if footer.pipeline_version != ASSETS[asset].version:
        yield f"{asset} was made by version {footer.pipeline_version}, now {ASSETS[asset].version}"
    used: Mapping[str, object] = footer.extra.get("settings", {})
    for name, words in _SETTINGS.items():
        if name in used and name in settings and used[name] != settings[name]:
            yield f"{asset} was made with {words} {used[name]}, now {settings[name]}"
    made_from: Mapping[str, str] = footer.extra.get("made_from", {})
    for upstream, content in made_from.items():
        if upstream in footers and footers[upstream].content_hash != content:
            yield f"{asset} was made from an earlier {upstream}"
    if footer.skipped:
        yield f"{asset} is pending: an engine or a node was down, money lacked, or a batch is not done"
    if footer.passing:
        yield f"{asset} has rejects that may pass"
