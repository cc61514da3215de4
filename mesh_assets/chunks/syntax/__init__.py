"""Programs as syntax trees: what each language's grammar calls a definition, where programs are cut, their symbols.

A language is a table of names (`grammars_*`), not a class. Where pieces begin and end belongs to `cuts`, rows of the
table `SYMBOLS` to `rows`, how the pieces of a file are put together to `mesh_assets.chunks.code`.
"""
