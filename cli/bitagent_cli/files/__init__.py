"""Files of a round from the artifact volume, without a pod made by hand.

    pod        the short-lived pod that reads the volume
    sender     the program in it: a tar archive of regular files on standard output; imports nothing of this project
    receiver   that archive, unpacked with bounds
    choice     which files of a round, and whether what came is what the round's status says
    reading    makes the pod, waits for it, runs commands in it, and removes it

The pod mounts the folder of one round, read-only, and holds no rights and no secrets.
"""
