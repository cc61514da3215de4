"""Stage `intake`: what lies in a drop, planned into slices and read once for hash, kind and encoding."""
