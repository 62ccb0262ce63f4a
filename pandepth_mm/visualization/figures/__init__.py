"""Figures of metrics."""
