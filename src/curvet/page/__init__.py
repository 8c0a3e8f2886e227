"""A table of scores -> one HTML page that needs nothing else."""
