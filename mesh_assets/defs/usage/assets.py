"""Assets of the stage `usage`: what model nodes were asked and what that cost, written anew each time."""

import dagster as dg

from mesh_assets.defs.partitions import dataset_asset
from mesh_assets.mesh.receipt_rows import receipt_batches
from mesh_assets.mesh.sql_ledger import SqlLedger
from mesh_assets.schemas.outcome import Outcome, Produced
from mesh_assets.storage.spending_shown import identity, shown


@dataset_asset()
def receipts(context: dg.AssetExecutionContext, ledger: dg.ResourceParam[SqlLedger]) -> Produced:
    """Every call to a model node that was billed for the dataset: who was asked, the tokens, their price, the cost.

    The ledger is the record of money; this is its copy for `mesh sql`. Spend, tokens and calls are plotted over time.
    """
    dataset = context.partition_key
    spending = ledger.spending(dataset)
    outcome = Outcome("receipts", total=sum(each.calls + each.shared for each in spending))
    rows = receipt_batches(ledger.receipts(dataset), dataset, outcome)
    metadata = shown(spending, ledger.unsettled(dataset), ledger.month())
    return Produced(rows, outcome, identity(spending), metadata=metadata)
