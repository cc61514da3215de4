"""The  command, one file a verb group."""
