"""What the runtime's pallets do to the state: one module for each topic, by the rules of the real pallets.

``registry`` has the tables of calls, ``yuma`` the consensus as a pure function, ``epochs`` that over the state,
``neurons`` who holds which slot. Pallets know no blocks, signatures, pool or sockets: those are in the folder above.
"""
