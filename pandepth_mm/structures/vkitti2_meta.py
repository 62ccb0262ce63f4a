"""Constants of Virtual KITTI 2.0.3: classes, colors, scenes, camera.

Free of heavy imports, so that the converters and their worker processes start at once.
"""

# Things first: the model's labels are the positions in these tuples.
THING_CLASSES = ('Truck', 'Car', 'Van')
STUFF_CLASSES = (
    'Terrain',
    'Sky',
    'Tree',
    'Vegetation',
    'Building',
    'Road',
    'GuardRail',
    'TrafficSign',
    'TrafficLight',
    'Pole',
    'Misc',
)
CLASSES = THING_CLASSES + STUFF_CLASSES

# RGB in classSegmentation PNGs (colors.txt).
CLASS_COLORS = dict(
    Truck=(160, 60, 60),
    Car=(255, 127, 80),
    Van=(0, 139, 139),
    Terrain=(210, 0, 200),
    Sky=(90, 200, 255),
    Tree=(0, 199, 0),
    Vegetation=(90, 240, 0),
    Building=(140, 140, 140),
    Road=(100, 60, 100),
    GuardRail=(250, 100, 255),
    TrafficSign=(255, 255, 0),
    TrafficLight=(200, 200, 0),
    Pole=(255, 130, 0),
    Misc=(80, 80, 80),
)
VOID_NAME = 'Undefined'
VOID_COLOR = (0, 0, 0)

SPLIT_SCENES = dict(train=('Scene01', 'Scene06', 'Scene20'), val=('Scene18',), test=('Scene02',))
# The six variations without a camera turn (paper, section 4.2).
VARIATIONS = ('clone', 'fog', 'morning', 'overcast', 'rain', 'sunset')

IMAGE_SIZE = (375, 1242)  # height, width
# fx = fy, cx, cy in pixels; integer coordinates are pixel centers.
FOCAL, CX, CY = 725.0087, 620.5, 187.0
DEPTH_SCALE = 100.0  # centimeters
DEPTH_INVALID = 65535  # sky and out of range
