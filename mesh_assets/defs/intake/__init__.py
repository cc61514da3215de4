"""Assets of the stage `intake`."""
