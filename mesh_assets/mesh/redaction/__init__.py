"""What may not leave in a text for a model node: found however it is written, and replaced by placeholders."""
