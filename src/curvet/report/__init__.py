"""Diagnosis -> something to look at: text, JSON, CSV or a picture."""
