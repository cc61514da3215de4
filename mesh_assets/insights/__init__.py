"""Stage `insights`: what local models and algorithms say of chunks and slices. No language model is asked here."""
