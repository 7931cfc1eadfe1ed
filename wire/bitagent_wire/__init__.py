"""Messages between validators and miners: two signed HTTP protocols and the messages of BitAgent.

From the bottom up:

    redaction  addresses without what may be secret
    hotkey_file  a key pair from the SDK's keyfile
    keys  crypto types, the protocol of a signer, verification
    auth  why a request or an answer is not authentic
    btauth  btauth/1: the SDK's signed requests, and our signature of answers
    axon  the wire of bittensor 10 and earlier (Axon and Dendrite)
    messages  BitAgent's messages, and what an answer may hold
    addresses  which addresses may be asked
    replays  nonces that were used
    outcomes  what came of asking a miner
    client  ask one miner one message
    server  answer on either wire
    connections  how many connections one address may have

Which miners are asked, what an answer earns, and how a miner answers are not here.
"""
