"""The process while it acts: its Lease, the work queue, and the workers that run the reconcilers."""
