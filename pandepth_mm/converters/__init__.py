"""From data sets on disk to the data contract."""
