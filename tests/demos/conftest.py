from tests.cli.conftest import forgotten_runs, run  # noqa: F401
