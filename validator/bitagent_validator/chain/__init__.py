"""Reading the chain.

    facts       plain data that the rest of the validator decides on
    connection  one connection: reads the facts through the SDK's client
    endpoints   which endpoint is next, and which must wait
    heights     the height of another endpoint
    follower    keeps a connection open and the last finalised block known

Nothing outside this folder and `weights/submit` imports the SDK's client. Writing to the chain is in `weights/submit`.
"""
