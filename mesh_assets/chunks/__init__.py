"""Stage `chunks`: files become chunks, the unit of meaning. One chunker a small file; `registry` names them all."""
