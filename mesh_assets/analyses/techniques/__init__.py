"""Ways to research a hard question with several calls: each a small strategy within bounds, its trace kept."""
