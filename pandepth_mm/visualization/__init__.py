"""Pictures and clouds of frames, figures of metrics."""
