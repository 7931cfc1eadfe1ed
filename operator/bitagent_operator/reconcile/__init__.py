"""Takes one key from the queue, plans, and does what the plan says. No decisions here: they are in `bitagent_operator.plan`."""
