"""Deep active inference on Atari, from pixels to planning."""

import os

# Before PyTorch starts its threads: those that spin while they wait for one another make a busy machine crawl.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

__version__ = "0.3.0"
