"""The methods whose depth is compared, by their names in metrics and files."""

# Name to title, in the order of tables and figures.
METHODS = dict(
    model='model',
    nearest_fill='nearest fill',
    classical_fill='classical fill',
    planar_fill='planar fill',
)
