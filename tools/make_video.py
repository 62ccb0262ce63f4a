"""Make a video of pictures: ``make_video.py FOLDER --out FILE.mp4``."""

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    run('video')
