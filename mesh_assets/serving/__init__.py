"""The search page and its HTTP API, on the loopback address. Reads indexes and lake; changes nothing."""
