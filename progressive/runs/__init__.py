"""Run folders, what is recorded in them, and how it is shown."""
