"""Building images and pushing them to the local node's registry, without a container engine.

`base` makes the base image from Debian's packages, `build` makes the others from their Dockerfiles, `store` says where buildah
keeps its layers. An image's tag is a hash of all it is made of, so that what has not changed is neither built nor pushed again.
"""
