"""The audit of chat templates: does a template only lay out a conversation, or does it answer tasks itself?

Two independent analyses. The first, `taint`, reads the template and does not run it: it labels what is derived from the
conversation (`labels`; `expressions` and its parts `members` and `calls`, which know each other by `analysis`;
`constants` and `syntax` need no labels), refuses decisions on its words (`rules` has the allowed uses; a filter or
method that is not listed must not touch a text), and checks single nodes for tables, literals of known benchmarks and
nondeterminism (`rules`; `benchmark` has the literals, hashed).

The second, `differential`, runs the template and needs no knowledge of how one could cheat. It renders a conversation
again as `twins`: with placeholders for every text and number, then with more tools, parameters, choices and lines, then
in the opposite order. A template that only lays out writes the same around the same words. So a template that passes
has written nothing into the round that depends on a text, or on a counted property of tools and texts. It probes
made-up conversations (`conversations`) for the fetch Job and `bitagent-eval check`, and every prompt of a round.

`findings` has what both report. The consequence of a refusal is decided elsewhere.
"""
