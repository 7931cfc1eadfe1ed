"""Quantisation methods that are evaluated: for each the settings that the engine's kernels take, and the tensors that replace a weight.

One file per method, listed in `registry`. Settings that an engine only fails on after the weights are loaded are refused here instead.
"""
