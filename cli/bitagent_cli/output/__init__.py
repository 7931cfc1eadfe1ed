"""What is printed.

terminal    standard output, colours, texts of others without control characters
tables      rows in columns
documents   JSON and YAML
"""
