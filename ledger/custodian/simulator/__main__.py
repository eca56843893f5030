"""``python -m ledger.custodian.simulator``: the simulator without Django."""

import argparse
import logging
import sys

from ledger.custodian.simulator.options import add_arguments, start


def main() -> int:
    """The exit code: 0 after a stop, 1 if it could not start."""
    parser = argparse.ArgumentParser(prog="custodian_simulator", description="A custodian of coins.")
    add_arguments(parser, {})
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if reason := start(vars(parser.parse_args())):
        sys.stderr.write(f"custodian_simulator: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
