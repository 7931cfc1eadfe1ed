"""Example of a package that extends bitagent: see the entry points in its pyproject.toml."""
