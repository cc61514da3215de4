"""What `mesh doctor` asks of this machine: pure checks of values, each with what was found and what to do about it."""
