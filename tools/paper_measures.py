"""Measure the models of the paper's films, sounds and digits.

`python tools/paper_measures.py chaos` writes results/rgm_video_chaos.json; `digits --mnist_folder FOLDER` classifies
all 10,000 test images of MNIST's own files; `cost` measures time and memory. Each takes minutes on one core.
"""

import argparse

from aif_atari.core import InputError
from aif_atari.rgm_digits import measure_digits, measure_orders
from aif_atari.rgm_natural import MEASURES, measure_film_cost, run_video
from aif_atari.rgm_piano import run_sound

SOUNDS = ('song', 'piano')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=[*MEASURES, *SOUNDS, 'digits', 'orders', 'cost'])
    parser.add_argument('--seeds', type=int, default=20, help='0, 1, 2, ...; digits need none (default: 20)')
    parser.add_argument('--workers', type=int, default=1, help='processes; 0: as many as there are cores (default: 1)')
    parser.add_argument('--mnist_folder', default='', help="MNIST's own files; by default the digits that ship")
    parser.add_argument('--results_dir', default='results', help='(default: results)')
    args = parser.parse_args()
    try:
        if args.what == 'digits':
            measure_digits(args.results_dir, args.mnist_folder)
        elif args.what == 'orders':
            measure_orders(args.results_dir, args.mnist_folder, args.seeds)
        elif args.what == 'cost':
            measure_film_cost(args.results_dir)
        elif args.what in SOUNDS:
            run_sound(args.what, args.seeds, args.results_dir, args.workers)
        else:
            run_video(args.what, args.seeds, args.results_dir, args.workers)
    except InputError as e:
        parser.exit(2, f'paper_measures: {e}\n')


if __name__ == '__main__':
    main()
