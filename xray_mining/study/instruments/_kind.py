"""The interface of a kind of set: a section of the study file, and the instrument that measures its sets."""

from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from xray_mining.models.work import Work
    from xray_mining.sets.instrument import Instrument

Chosen = TypeVar("Chosen", bound=BaseModel)


class InstrumentKind(Generic[Chosen]):
    """One kind of set. Each file of `study/instruments` has one object of a subclass in its constant KIND.

    The file's name is the section of the study file, and `kind` of the instrument. The file is imported whenever a
    study is read, so it must import heavy packages (numpy, torch) in functions.
    """

    stage: str
    """First part of the names of its steps in a plan, different from all other stages."""
    options: type[Chosen]
    """Options of one set in the study file."""
    default: str
    """Name of the set that is measured with default options if no study is given."""

    def make(self, options: Chosen) -> "Instrument":
        """The instrument of a set. Raises UserError if an input is missing, such as weights."""
        raise NotImplementedError

    def work(self, options: Chosen, images: int, *, gpu: bool) -> "Work":
        """Roughly estimated time to measure so many radiographs, with the start of the process."""
        from xray_mining.models.work import PROCESS_SECONDS, Work

        return Work(self.stage, PROCESS_SECONDS + 3.0 + 1e-2 * images)

    def refuse(self, options: Chosen) -> None:
        """UserError for an unknown name in the options, before any step runs."""

    def missing(self, options: Chosen) -> str:
        """Why it cannot run on this machine, as a clause; an empty text if it can."""
        return ""
