"""What JPEG leaves of the ball, chapter 11b: `python tools/jpeg.py` writes results/jpeg.json."""

from pathlib import Path

from aif_atari.own_data import measure_jpeg

if __name__ == '__main__':
    measure_jpeg(str(Path(__file__).resolve().parent.parent / 'results'))
