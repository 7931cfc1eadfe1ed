"""What happened to an object, why it is as it is, and what to do. Pure.

timeline   moments of a round, a model or a validator, in the order of time
spent      where the time of a round went
pods       what its pods do
story      all of it, for a terminal and as a document
"""
