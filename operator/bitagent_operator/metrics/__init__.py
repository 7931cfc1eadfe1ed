"""Prometheus metrics: those counted as things happen, those read from the cache, and the page that lists them."""
