"""A module that takes eight gigabytes while it is imported."""

HOARD = bytearray(8 << 30)


class Worker:
    """Is never created."""
