"""The page of `curvet label`: a small server on this machine, and what it shows."""
