"""Build images and push them to the local node's registry, without a container engine.

`catalogue` reads the list of images, `spec` computes their tags, `base` makes the base image from Debian's packages,
`build` builds, pushes and runs the others, `store` calls buildah. The tag of an image is a hash of all its inputs, so
that an unchanged image is neither built nor pushed again. Which images the demo needs is not decided here.
"""
