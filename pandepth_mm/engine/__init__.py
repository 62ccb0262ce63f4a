"""What runs around the models: hooks, launching, checkpoints."""
