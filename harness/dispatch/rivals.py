"""Other runs of the same trials into the same store: what they finish is not run again."""

import random
import time
from collections import deque
from contextlib import suppress

from harness.errors import UserError
from harness.store.store import Store
from harness.sweeps.trial import Batch, Trial

SELDOM = 20
"""The store is looked at again after this many times the seconds that the last look took."""


class Rivals:
    """What other runs have finished since this one began to look."""

    def __init__(self, store: Store):
        self.store = store
        self.finished: set[str] = set()
        """Trials with an ok row from another run."""

        self._seen = store.row_file_names()
        self._next_look = 0.0

        self._met = False
        """Whether another run of the same trials has been seen in the store."""

    def look(self) -> None:
        """Look for what others have finished since the last look."""
        began = time.monotonic()
        if began < self._next_look:
            return

        with suppress(UserError):  # what cannot be seen now is seen next time; rows go first
            names = self.store.row_file_names()
            theirs = names - self._seen - self.store.written
            if theirs:
                rows = self.store.read_files(theirs)
                self.finished |= set(rows.loc[rows["status"] == "ok", "trial_id"])
            self._seen = names

        took = time.monotonic() - began
        self._next_look = began + SELDOM * took

    def take_off(self, queue: deque[Batch]) -> list[Trial]:
        """Take trials off the queue that others have finished, and return them.

        Runs that begin together would also go on together, each training what the others train. So
        the first time that others turn up, the queue goes on from another place.
        """
        if self.finished and not self._met and queue:
            self._met = True
            queue.rotate(random.randrange(len(queue)))

        taken = []
        for _ in range(len(queue)):
            batch = queue.popleft()
            theirs = [trial for trial in batch.trials if trial.trial_id in self.finished]
            taken += theirs
            if not theirs:
                queue.append(batch)
            elif len(theirs) < len(batch.trials):
                queue.append(batch.only(t.trial_id for t in batch.trials if t not in theirs))
        return taken
