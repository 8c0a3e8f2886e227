"""Two bundles on the same runs: figures, their differences, and how sure those are."""
