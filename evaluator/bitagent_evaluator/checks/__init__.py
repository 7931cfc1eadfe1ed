"""What a validator would say about a model, told to its owner before it costs anything.

`model` collects facts and verdict by the fetch Job's own functions (`hub.examination`), `advice` says what to do. What is safe is decided in `safety`.
"""
