"""``python -m ddp_perception.cli``: the same as ``ddp-perception``."""
from ddp_perception.cli.main import run_process

if __name__ == '__main__':
    run_process()
