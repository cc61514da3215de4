"""Assets of the stage `insights`."""
