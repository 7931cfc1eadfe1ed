"""Function names and ground-truth values of the installed bfcl-eval data, as hashes.

`names.bin` and `values.bin` are sorted 8-byte prefixes of SHA-256; `generate` writes them. `literals` says which names
and values are distinctive, and finds them in text. The data itself is not copied.
"""
