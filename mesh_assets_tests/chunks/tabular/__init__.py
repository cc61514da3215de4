"""Tables in formats that are no plain text."""
