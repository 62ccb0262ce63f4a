"""The ways to get a dense depth map that are compared, by name."""

# Key in metrics and files: title in tables and figures.
METHODS = dict(
    model='model',
    nearest_fill='nearest fill',
    classical_fill='classical fill',
    planar_fill='planar fill',
)
