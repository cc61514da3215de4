"""Assets of the stage `indexes`."""
