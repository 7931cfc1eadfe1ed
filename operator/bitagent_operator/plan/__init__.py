"""Decisions, as pure functions over observed objects: no I/O, no clock (`now` is an argument), no framework.

A plan may depend on something that a cache cannot prove (a result that is nowhere to be seen, an object that is gone). It then
returns `Questions`; the caller looks at the API server and plans again with the `Answers`.
"""
