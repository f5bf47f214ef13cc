from tests.cli.conftest import restored_globals, run  # noqa: F401
