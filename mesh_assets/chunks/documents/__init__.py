"""Documents: one reader a format makes blocks of a file, one chunker makes the reading and the pieces of blocks."""
