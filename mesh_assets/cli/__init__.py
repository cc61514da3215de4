"""The `mesh` command, one file a verb group."""
