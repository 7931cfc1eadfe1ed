"""How a task becomes a prompt: one file per prompt format, behind `prompt_format`.

A format decides on messages and tools, or on the whole text, and on the syntaxes in which it accepts answers. Turning that into token ids, with
the model's own template and tokenizer, is `bitagent_evaluator.rendering`; reading the answer is `bitagent_evaluator.answers`. Wording that belongs to the leaderboard is taken from the installed bfcl-eval package.
"""

from bitagent_evaluator.formats.chat import Chat, Format, RawPrompt, prompt_format

__all__ = ["Chat", "Format", "RawPrompt", "prompt_format"]
