"""Archives of any size -> a table of verdicts, resumable, on any number of processes."""
