"""Datasets as people name them on the command line."""

from __future__ import annotations

from mesh_assets.errors import SettingsError
from mesh_assets.slices import dataset_key
from mesh_assets.storage.lake import Lake


def known_dataset(lake: Lake, name: str) -> str:
    """The key of a dataset, given by its key or by the name of its folder; SettingsError names those that exist."""
    known = lake.datasets("drop_manifests")
    for key in (name, dataset_key(name)):
        if key in known:
            return key
    raise SettingsError(
        f"There is no dataset {name!r}.", remedy=f"Those that were read: {', '.join(known) or 'none yet'}."
    )
