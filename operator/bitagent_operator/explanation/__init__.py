"""Answers for people: what the next pass over an object would do and why, found by a pass that writes nothing."""
