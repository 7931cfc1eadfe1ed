"""A double of miners' model servers: an OpenAI-compatible endpoint that can answer a share of known questions.

The model `skill-85` answers 85 of a hundred questions of a task file rightly, always the same ones, and says that it
cannot help with others. It thinks for no time and needs no engine, so that a laptop can have any number of miners.
`old_axon` is a whole miner, which knows the old wire only.
"""
