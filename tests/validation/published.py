"""Where the published data lies that `make validate` compares with."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def data(*parts: str) -> Path:
    """A file of the data folder, DCSIM_DATA or that beside the repository; it must be there."""
    folder = Path(os.environ.get("DCSIM_DATA", ROOT / "../shared/data"))
    path = folder.joinpath(*parts)
    assert path.exists(), f"{path} is needed to validate: set DCSIM_DATA to the data folder"
    return path
