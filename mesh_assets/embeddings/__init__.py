"""Stage `embeddings`: each distinct text of a slice becomes one vector."""
