"""What is wrong with a cluster. What cannot be read is said, and stops nothing else.

findings      what was found: a level, an area, a sentence, and what to do
seen          what was read of a cluster, each part or the reason why not
definitions   the kinds as the cluster has them, against those of this version
rights        the rules of the operator, one question each
checks        findings about each part; pure
probes        pods that try something, and what their answers mean; pure
reading       all requests
"""
