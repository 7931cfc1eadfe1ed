"""From a repository's name to verified files in the model cache.

`source` says what a repository is, `huggingface` and `directory` are the two kinds; `download` fetches one file and resumes; `cache` knows
the cache's layout, locks, publishing and eviction; `examination` says what a revision is without its weights; `fetch` is the whole way.
Whether a repository is safe is not decided here (`safety`).
"""
