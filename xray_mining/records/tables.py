"""All records, in the order of the flow: merge, the data dictionary and the schema tests read this list."""

from xray_mining.records.boxes import Boxes
from xray_mining.records.check_results import CheckResults
from xray_mining.records.cohort_members import CohortMembers
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.records.duplicates import Duplicates
from xray_mining.records.estimates import Estimates, Pictures
from xray_mining.records.file_events import FileEvents
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.ingest_runs import IngestRuns
from xray_mining.records.ledger import Ledger
from xray_mining.records.mask_faults import MaskFaults
from xray_mining.records.masks import Masks
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.records.pixels import Pixels
from xray_mining.records.predictions import Predictions
from xray_mining.records.record import Record
from xray_mining.records.rejects import Rejects
from xray_mining.records.unread_cells import UnreadCells
from xray_mining.records.vectors import FeatureSets

ALL: tuple[type[Record], ...] = (
    Images,
    Pixels,
    Duplicates,
    Rejects,
    NearDuplicates,
    FileEvents,
    IngestRuns,
    Findings,
    Boxes,
    Masks,
    MaskFaults,
    UnreadCells,
    FeatureSets,
    CohortMembers,
    CohortTargets,
    Predictions,
    Estimates,
    Pictures,
    CheckResults,
    Ledger,
)
