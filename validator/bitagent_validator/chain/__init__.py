"""The chain: `facts` are what the rest of the validator decides on, `connection` reads them, `follower` keeps a connection alive.

Nothing outside this folder and `submit` imports the SDK's client.
"""
