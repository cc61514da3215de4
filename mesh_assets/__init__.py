"""Intelligence Mesh: software-defined assets that read what is dropped in a folder, on the owner's hardware.

Importing the package imports nothing below it: `mesh_assets.definitions` is the Dagster code location, and
`mesh_assets.cli` the `mesh` command.
"""

__version__ = "0.1.0"
