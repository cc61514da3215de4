"""Assets of the stage `chunks`."""
