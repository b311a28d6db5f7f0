"""Faults by name: everything that goes wrong at a paid image API, on request.

A fault is one entry in FAULTS: name, description, the point where it strikes, and what it does there. It is asked for
- in a prompt: `fault:<name>` or `fault:<name>=<value>`; it then sticks to that order and its task, or
- through the control endpoint, for the next n matching requests.
"""

from local.simulator.faults.engine import Armed, Fault, Faults, Hook, for_task
from local.simulator.faults.files import FILE_FAULTS
from local.simulator.faults.status import STATUS_FAULTS, TASK_FAULTS
from local.simulator.faults.submit import SUBMIT_FAULTS
from local.simulator.faults.uploads import UPLOAD_FAULTS

__all__ = ["FAULTS", "Armed", "Fault", "Faults", "Hook", "for_task"]

_ALL = (*SUBMIT_FAULTS, *TASK_FAULTS, *STATUS_FAULTS, *FILE_FAULTS, *UPLOAD_FAULTS)
FAULTS = {fault.name: fault for fault in _ALL}
