"""The default miner: serves a hotkey's model and answers on both wires."""
