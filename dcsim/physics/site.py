"""The models that a site has unless the user brings others."""

from dcsim.contract import Model
from dcsim.physics.electrical import ElectricalModel
from dcsim.physics.gpu import GpuModel
from dcsim.physics.network import NetworkModel
from dcsim.physics.node import NodeModel
from dcsim.physics.plant import PlantModel
from dcsim.physics.pumps import PumpModel
from dcsim.physics.training import TrainingModel
from dcsim.physics.weather import WeatherModel
from dcsim.world.site import Site


def default_models(site: Site) -> list[Model]:
    """Return all models of *site*: weather, pumps, GPUs, nodes, plant, power, network, training."""
    gpus = GpuModel(site)
    return [
        WeatherModel(site),
        PumpModel(site),
        gpus,
        NodeModel(site),
        PlantModel(site),
        ElectricalModel(site),
        NetworkModel(site),
        TrainingModel(site, gpus),
    ]
