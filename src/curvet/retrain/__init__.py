"""Labels -> a bundle of a team's own, compared with the one before."""
