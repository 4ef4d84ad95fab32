"""Settings of all tests."""

import pytest
from hypothesis import settings

from dcsim import cli

# Same examples on every machine; kernels compile inside the first one.
settings.register_profile("dcsim", derandomize=True, deadline=None)
settings.load_profile("dcsim")


@pytest.fixture
def run(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        return stop.value.code, *capsys.readouterr()

    return run
