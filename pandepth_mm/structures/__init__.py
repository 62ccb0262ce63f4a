"""What a frame is: the data contract, panoptic maps, names, colors."""
