"""Assets of the stage `usage`."""
