"""Whether a validator's weights land in every window, once, while its node, its chain and its own process fail.

world      one validator on one subnet
faults     what fails, and at which step
judgement  what happened in each window, and whether it is as it has to be
"""
