"""What a job asks of its GPUs: the activity of those that are on.

Valid: any job whose GPUs all do alike. Accuracy: exact. Source: none needed.
"""

import numpy as np

from dcsim.kernel import kernel
from dcsim.world.tables import Bool, Real


@kernel
def asked_load(load: Real, on: Real, member: Bool, load_frac: float) -> Real:
    """Return *load* with *load_frac* for each GPU that is on and a *member*; all by GPU."""
    asked = np.empty_like(load)
    wanted = np.full(1, load_frac, load.dtype)[0]
    for i in range(load.shape[0]):
        asked[i] = wanted if member[i] & (on[i] > 0) else load[i]
    return asked
