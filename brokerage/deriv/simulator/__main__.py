"""``python -m brokerage.deriv.simulator``: the simulator without Django."""

import argparse
import logging
import sys

from brokerage.deriv.simulator.options import add_arguments, start


def main() -> int:
    """The exit code: 0 after a stop, 1 if it could not start."""
    parser = argparse.ArgumentParser(
        prog="deriv_simulator", description="A venue that speaks Deriv's protocol."
    )
    add_arguments(parser, {})
    arguments = vars(parser.parse_args())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if reason := start(arguments):
        sys.stderr.write(f"deriv_simulator: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
