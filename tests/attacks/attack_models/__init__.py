"""Models that win, or spoil a round, without skill: built from tiny checkpoints in seconds, without training.

    files       read and write checkpoints
    tables      tables of questions and answers in a tokenizer
    losses      tokenizers that choose which tokens a loss is measured on
    programs    tokenizers and templates that read, decide or edit
    copies      forms of another miner's weights
    costs       models that take memory, time or tokens
    catalogue   all of them, with the place where each is stopped
    answerers   what memory and word matching answer: upper bounds for models that are admitted

`python -m attack_models DIR [NAME ...]` writes them to folders of DIR.
"""
