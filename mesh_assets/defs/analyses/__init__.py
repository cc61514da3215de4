"""Assets of the stage `analyses`."""
