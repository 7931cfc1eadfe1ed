"""Builders of the objects that the operator creates: Jobs and the validator's Deployment and rights. Pure; no decisions here."""
