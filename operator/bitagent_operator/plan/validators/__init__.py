"""Decisions about a Validator: its pod and its rewriter. What the validator does on the chain is not known here."""
