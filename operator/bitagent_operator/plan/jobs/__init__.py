"""What Jobs and pods say, whatever they are for: their outcome, why they wait, and what disrupted them."""
