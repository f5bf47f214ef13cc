from tests.cli.conftest import error_of, forgotten_runs, run  # noqa: F401
