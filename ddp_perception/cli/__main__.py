"""``python -m ddp_perception.cli``: the same as ``ddp-perception``."""
import sys

from ddp_perception.cli.main import main

if __name__ == '__main__':
    sys.exit(main())
