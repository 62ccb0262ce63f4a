"""Make a video of pictures: ``make_video.py FOLDER --out FILE.mp4``."""

from pandepth_mm.cli.video import main

if __name__ == '__main__':
    main()
