"""MinerModels from what miners submit on the chain: forms of commitments, the plan, and its writes.

Which rounds take a model is decided by their selectors, and what it earns by the policies: not here.
"""
