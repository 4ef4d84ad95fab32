"""Settings of all tests."""

from hypothesis import settings

# Same examples on every machine; kernels compile inside the first one.
settings.register_profile("dcsim", derandomize=True, deadline=None)
settings.load_profile("dcsim")
