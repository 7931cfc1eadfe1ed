"""Watches and full lists, which keep the cache up to date and put the keys that changed on the queue. No decisions."""
