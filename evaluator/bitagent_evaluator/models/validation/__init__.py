"""Safety of a model's files: whether they may be loaded, and what model they hold; no weights are read, no torch.

    files           input and result of the validation; which files are ever fetched
    card            licence and hotkey of the model card
    kinds           models of another kind than a whole model in safetensors, each with the remedy
    config          config.json: known members within ranges, no code; `members` and `rope` have parts of it
    architectures   supported architectures and their tensors
    quantization    quantisation methods and how they pack layers
    weights         safetensors headers, and whether they match the configuration
    names           what tensor names say about how a checkpoint was saved
    templates       where the chat templates are, and which is used when
    tokenizer       tokenizer files, special tokens
    chat            what prompts are made with and what ends an answer, and from which files; notes
    memory          what decides the need of memory
    facts           all of the above: the facts about a model, and why it is refused; in the sandbox's child
    validate        reads what that takes, and runs it in a sandbox
    template_audit  the audit of the chat template, in a sandbox; not part of the validation

Whether a competition admits a model is decided elsewhere, by the round's admission rules over the model's facts.
"""
