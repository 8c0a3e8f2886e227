"""The field trial: real trainings with injected causes, kept apart from the package.

`scripts/make_real_runs.py` calls it. Nothing here knows the package's simulator.
"""
