"""Chat templates: `render` renders them, the same on every validator; `audit` refuses templates that answer tasks.

Where a model keeps its template, and the sandboxes that run all this, are in `models.validation` and `prompts`.
"""
