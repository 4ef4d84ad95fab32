"""What a sample of all GPUs says, against numpy."""

import numpy as np
import pytest

from dcsim.physics.sampling import BINS_COUNT, sample_gpus, sample_racks
from dcsim.world import Site
from tests.physics.rig import LIQUID, site_of


@pytest.fixture
def site() -> Site:
    """A site whose GPUs are hot and cold, on and off."""
    site = site_of(LIQUID)
    rng = np.random.Generator(np.random.PCG64(4))
    site.gpu.temp_c[:] = rng.uniform(20, 90, 128)
    site.gpu.clock_frac[:] = rng.uniform(0.2, 1, 128)
    site.gpu.on_frac[:] = rng.choice([0, 1, 1], 128)
    site.gpu.temp_c[:2] = -3.0, 200.0
    site.gpu.on_frac[:2] = 1
    return site


def test_gpus(site):
    histogram = np.full(BINS_COUNT, 9, np.int32)
    sample = sample_gpus(site.gpu, histogram)
    on = site.gpu.on_frac > 0
    assert sample.on_count == on.sum() == histogram.sum()
    assert sample.temp_c_mean == pytest.approx(site.gpu.temp_c[on].mean(), rel=1e-5)
    assert sample.clock_frac_mean == pytest.approx(site.gpu.clock_frac[on].mean(), rel=1e-5)
    inside = np.clip(site.gpu.temp_c[on], 0, BINS_COUNT - 1).astype(int)
    np.testing.assert_array_equal(histogram, np.bincount(inside, minlength=BINS_COUNT))


def test_racks(site):
    first_gpu = site.rack.first_node * 8
    found = np.zeros((4, len(first_gpu) - 1))
    sample_racks(site.gpu, first_gpu, *found)
    temp_c = site.gpu.temp_c.reshape(4, -1)
    clock = (site.gpu.clock_frac * site.gpu.on_frac).reshape(4, -1)
    expected = temp_c.min(axis=1), temp_c.mean(axis=1), temp_c.max(axis=1), clock.mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
