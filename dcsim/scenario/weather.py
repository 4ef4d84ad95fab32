"""The outdoor air of a site, as asked for."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import field_serializer, model_validator

from dcsim.scenario.fields import Leaf, Part, choice, quantity, sheet


def _file(value: Any) -> Path:
    """Read the path of an existing file."""
    if not isinstance(value, str):
        raise ValueError("allowed the path of an EPW file")
    if not Path(value).is_file():
        raise ValueError("is a folder, not a file" if Path(value).is_dir() else "no such file")
    return Path(value)


class Weather(Part):
    """One of: a climate of the catalogue, an EPW file, or one constant dry-bulb temperature.

    A climate has the mean day of each month, or its hottest day again and again.
    """

    climate: Annotated[str | None, sheet("climate"), "typical year of a place"] = None
    day: Annotated[
        str,
        choice("mean", "hottest"),
        "mean: the mean day of each month; hottest: its hottest day again and again",
    ] = "mean"
    epw: Annotated[
        Path | None,
        Leaf(_file, {"type": "string"}, "the path of a file"),
        "EnergyPlus weather file, relative to the scenario",
    ] = None
    constant_c: Annotated[
        float | None,
        quantity("temperature", "-50 degC", "60 degC"),
        "the same dry bulb all the time",
    ] = None

    @model_validator(mode="after")
    def _one(self) -> "Weather":
        if sum(kind is not None for kind in (self.climate, self.epw, self.constant_c)) != 1:
            raise ValueError(
                "allowed exactly one of climate, epw, constant "
                "(to replace an inherited one, set it to null)"
            )
        if self.day == "hottest" and self.climate is None:
            raise ValueError("allowed day: hottest with a climate only")
        return self

    @field_serializer("epw")
    def _file_name(self, epw: Path | None) -> str | None:
        """Keep the folder of the file out of the digest of the scenario."""
        return epw.name if epw else None
