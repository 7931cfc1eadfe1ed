"""The contract between the parts of bitagent, and with its users.

Here live the three custom resources (one file a kind), the conditions and reasons they report, the files and messages that Jobs
exchange with the operator, the layout of the shared volumes, and the generator that writes the CustomResourceDefinitions.
Nothing here does I/O, and nothing here knows kopf, vLLM or bittensor.
"""
