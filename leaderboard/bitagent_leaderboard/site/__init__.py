"""Which documents there are, what each is made of, and what it depends on.

documents  those of one namespace
several    those of several: each namespace's in a folder of its own, below a first page that lists them
"""
