"""Does a chat template only lay out what it is given, or does it answer tasks itself?

Two independent lines. The first reads the template and never runs it: `static` collects the findings of `syntax` (tables, literals of known
benchmarks, nondeterminism; `benchmark/` has the literals, hashed) and of the information flow from the conversation into decisions
(`labels`, `expressions`, `statements`; what reading a text is for is in `uses`). It denies by default: a filter or method that is not on a
list may not touch a user's text.

The second runs the template and needs no idea of how cheating looks. `twin` replaces every text of a conversation by a placeholder; a
template that only lays out writes the same around both. It is asked of made-up conversations (`probe`, for `check` and the fetch Job) and,
when a round is rendered, of every single prompt. So a template that both lines pass wrote no word into this round that depends on a text.

`inspect` is what the rest of the evaluator calls; `worker` is the far side in the bounded child. What a refusal costs is not decided here.
"""
