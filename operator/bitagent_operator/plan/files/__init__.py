"""Decisions about files: what a fetch may remove from the cache, the archive of a round, and retention."""
