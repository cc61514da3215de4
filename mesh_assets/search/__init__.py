"""One query over the indexes. Reads indexes and lake through Protocols; changes nothing.

`query` reads what people write, `hybrid` ranks by words and meaning, `graph` and `timeline` say how these two are
asked. `serving.one_query.OneQuery` puts them together on a state folder: that is the Python API.
"""
