"""Observed objects: frozen data of what the API server has, and the cache of it by kind. No I/O, no decisions."""
