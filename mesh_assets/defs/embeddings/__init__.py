"""Assets of the stage `embeddings`."""
