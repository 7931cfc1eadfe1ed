"""From a task to token ids, and from token ids back to text.

    base                the interface of prompt formats, and their prompts: messages for a chat template, or ready text
    formats             the built-in formats by name, and those of installed packages
    chat_formats        built-in formats for a chat template: Bfcl, BitAgent, Hammer, ChatTemplate
    variations          the leaderboard's system prompt, with its variations of format sensitivity
    text_formats        built-in formats that write the whole text: Alpaca, Vicuna, ChatML, Llama2
    tokenizer           a model's chat template and tokenizer, run in a sandbox (`models.tokenizer_worker`)
    reference_length    how long a prompt may be for its conversation

A format decides on messages and tools, or on the whole text, and on the answer syntaxes that it accepts. Reading an
answer is `bitagent_evaluator.parsing`. An engine gets token ids only, so neither a template that never ends nor a huge
tokenizer runs inside it.
"""

from bitagent_evaluator.prompts.base import ChatPrompt, PromptFormat, RawPrompt
from bitagent_evaluator.prompts.formats import check_format, known_formats, prompt_format

__all__ = ["ChatPrompt", "PromptFormat", "RawPrompt", "check_format", "known_formats", "prompt_format"]
