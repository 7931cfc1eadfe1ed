"""Reading the chain.

    facts       plain data that the rest of the validator decides on
    decoding    answers of the SDK as facts
    published   what hotkeys have committed to
    calls       rows of weights in the calls of a block
    connection  one connection: reads the facts through the SDK's client
    endpoints   which endpoint is next, and which must wait
    heights     the height of another endpoint
    elsewhere   the same question to other endpoints
    follower    keeps a connection open and the last finalised block known

Nothing outside this folder and `weights/signing` imports the SDK's client. That module writes to the chain.
"""
