"""Chunkers of pictures, sound and video. Their readings are sentences that words and embeddings can find."""
