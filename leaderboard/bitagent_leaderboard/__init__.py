"""The public page: competitions, rankings, models and weights, read from the cluster."""
