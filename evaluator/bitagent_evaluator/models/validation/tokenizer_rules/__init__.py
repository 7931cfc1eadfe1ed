"""Rules by which tokenizers are admitted: what a `tokenizer.json` may consist of, and how its texts must behave.

    components      normalizer, pre-tokenizer, post-processor and decoder: allowed types, members and values
    patterns        regular expressions: a grammar without memory, and a few known ones beyond it
    charsmap        SentencePiece's table of characters: each row has to be a Unicode normalisation
    vocabulary      model, tokens and added tokens: lengths, phrases, literals of known benchmarks
    round_trip      a text decodes back to itself; an answer's text follows from its ids, one by one
    probes          texts that a tokenizer encodes and decodes in a sandbox before it is admitted
    digest          what identifies a tokenizer

A tokenizer turns text into ids and back, and takes no part in answering. So the rules name what is allowed: the
components of the families whose models are supported, as `transformers` and the usual trainers export them. They do
not list what is forbidden. A model's special tokens and stop tokens are in `models.validation.tokenizer`.
"""
