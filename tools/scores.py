"""Scores of the weights that ship: `python tools/scores.py` writes them into aif_atari/weights/index.json.

Run it after a new comparison or new weights. A test keeps index and results in step.
"""

from aif_atari.share_weights import write_scores

if __name__ == '__main__':
    write_scores()
