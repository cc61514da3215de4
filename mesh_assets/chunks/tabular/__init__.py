"""Tables in formats that are no plain text: one reader a format, and one chunker that makes their readings."""
