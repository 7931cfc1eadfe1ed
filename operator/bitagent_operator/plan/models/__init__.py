"""Decisions about a MinerModel: which fetch it needs, whether that fetch may start now, and what its status says."""
