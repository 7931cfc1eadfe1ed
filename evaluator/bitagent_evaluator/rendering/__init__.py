"""Prompts to token ids and answers back to text, with a submitted model's own template and tokenizer, in a bounded child.

A chat goes through the template and then the tokenizer; ready text goes to the tokenizer only.

`prompts.PromptWriter` is the near side; `worker` the far one, with `template` (Jinja in a sandbox) and `tokens` (tokenizer, stop tokens)
and `normalizer` (a tokenizer that rewrites what it reads).
The engine gets token ids only, so that neither a template that never ends nor a huge tokenizer ever runs inside it.
"""
