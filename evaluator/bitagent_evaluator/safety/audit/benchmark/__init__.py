"""Function names and ground-truth values of the installed bfcl-eval data, as hashes.

`names.bin` and `values.bin` are sorted 8-byte prefixes of SHA-256; `python -m bitagent_evaluator.safety.audit.benchmark.generate` writes
them. `literals` says which names and values are particular enough to be known by, and finds them in text. The data itself is not copied.
"""
