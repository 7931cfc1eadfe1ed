"""The demo: brings the whole system up on one machine, or on the cluster of KUBECONFIG, and shows what it does.

`phases` times and logs steps, `toolchain` installs what a machine needs, `images` says what is built, `stack` installs the product and the
world around it (the e2e tests use the same functions), `view` turns observed objects into tables, `show` is the live screen.
Everything up to `stack` needs only the standard library: it runs before any environment exists.
"""
