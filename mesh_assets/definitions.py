"""The code location: loads `defs/`, applies the policies of `stages`, binds the resources."""

import importlib
from collections.abc import Mapping

import dagster as dg

from mesh_assets.defs import checks, jobs, machine, pace, recovery
from mesh_assets.defs.analyses import sensors as analysis_sensors
from mesh_assets.defs.indexes import sensors as index_sensors
from mesh_assets.defs.intake import sensors as intake_sensors
from mesh_assets.defs.reports import sensors as report_sensors
from mesh_assets.intake.drop_area import DropArea
from mesh_assets.resources.caller import connect_caller
from mesh_assets.resources.dataset_tables import dataset_tables_resource
from mesh_assets.resources.encoder import connect_encoder
from mesh_assets.resources.fulltext_index import connect_fulltext_index
from mesh_assets.resources.io_manager import io_manager_resource
from mesh_assets.resources.ledger import connect_ledger
from mesh_assets.resources.vector_index import vector_index_resource
from mesh_assets.schemas import TABLES
from mesh_assets.settings import Settings, load_settings
from mesh_assets.stages import ASSETS, OWNER, STAGES, Stage
from mesh_assets.storage.lake import Lake


def build_defs(settings: Settings, *, resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """The whole system for these settings; tests put fakes in the place of resources."""
    lake = Lake(settings.state / "lake")
    resources: dict[str, object] = {
        "settings": settings,
        "lake": lake,
        "io_manager": io_manager_resource(settings, lake),
        "dataset_tables": dataset_tables_resource(lake),
        "drop_area": DropArea.of(settings),
        "encoder": connect_encoder(settings),
        "vectors": vector_index_resource(settings),
        "words": connect_fulltext_index(settings),
        "ledger": connect_ledger(settings),
        "caller": connect_caller(settings),
    }
    return dg.Definitions(
        assets=[machine.machine_profile, *(asset for stage in STAGES for asset in _assets_of(stage))],
        asset_checks=checks.CHECKS,
        jobs=[*jobs.JOBS, machine.machine_job],
        sensors=[
            *pace.SENSORS,
            *intake_sensors.SENSORS,
            *index_sensors.SENSORS,
            *analysis_sensors.SENSORS,
            *report_sensors.SENSORS,
            *recovery.SENSORS,
        ],
        schedules=[*report_sensors.SCHEDULES, machine.nightly_machine],
        resources={**resources, **(resource_overrides or {})},
        # A slice run is one process: models load once, and parallelism comes from runs side by side.
        executor=dg.in_process_executor,
    )


def _assets_of(stage: Stage) -> list[dg.AssetsDefinition]:
    module = importlib.import_module(f"mesh_assets.defs.{stage.name}.assets")
    found = [asset for asset in dg.load_assets_from_modules([module]) if isinstance(asset, dg.AssetsDefinition)]
    return [asset.map_asset_specs(lambda spec: _with_policies(spec, stage)) for asset in found]


def _with_policies(spec: dg.AssetSpec, stage: Stage) -> dg.AssetSpec:
    asset = ASSETS[spec.key.to_user_string()]
    columns = [dg.TableColumn(c.name, str(c.type), description=c.doc) for c in TABLES[asset.name].columns]
    return spec.replace_attributes(
        group_name=stage.name,
        owners=[OWNER],
        kinds=set(asset.kinds),
        code_version=asset.version,
        metadata={**spec.metadata, "dagster/column_schema": dg.TableSchema(columns)},
    )


defs = build_defs(load_settings())
