"""The command `kubectl bitagent`: models, rounds and validators of a cluster by hand."""
