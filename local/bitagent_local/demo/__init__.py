"""The demo: bring the whole system up on one machine, or on the cluster of KUBECONFIG, and show its state.

`phases` times and logs steps, `toolchain` installs what a machine needs, `images` selects the images, `stack` installs
the product and the simulated world, `removal` takes them from a cluster that stays, `altered` adds the rounds with
reworded questions (the e2e tests use the same functions), `subnets` the mechanisms of real subnets, whose `emission` is
plotted, `view` turns observed objects into tables, `show` is the live screen, `page` says where the public page is.
Everything but `view` and `show` needs only the standard library: it runs before any environment exists.
"""
