"""Assets of the stage `reports`."""
