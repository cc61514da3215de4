"""One query over the indexes. Reads indexes and lake through Protocols; changes nothing."""
