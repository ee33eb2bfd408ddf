"""The files that a trial leaves beside its row: final weights, a picture, a checkpoint.

Files come first, then the rows that name them: a kill in between leaves no row without its file. A
file that does not fit on the disk is left out, and costs no row.
"""

import hashlib
import uuid
from collections.abc import Iterable

from harness.store.folder import DoesNotFit, Folder
from harness.store.schema import Columns
from harness.store.whole_file import TEMPORARY


class TrialFiles:
    """The files of trials in a store's folder."""

    def __init__(self, files: Folder):
        self.files = files

        self._new_weights: set[str] = set()
        """Files of weights for rows that are not written yet."""

        self._without_file: list[str] = []
        """Trials of which a file was left out since `left_out` was called."""

    def put_weights(self, trial_id: str, safetensors: bytes) -> str:
        """Keep a trial's final weights. Return the file's name relative to the store."""
        name = f"_weights/{trial_id}.safetensors"
        self.files.put(name, safetensors)
        return name

    def put_pictures(self, trial_id: str, png: bytes) -> str:
        """Keep the picture of a trial's smallest changes. Return the file's name relative to the
        store."""
        name = f"_pictures/{trial_id}.png"
        self.files.put(name, png)
        return name

    def keep_weights(self, trial_id: str, safetensors: bytes | None) -> Columns:
        """Keep a trial's final weights if they fit. Return the columns that name them, null where
        there are none."""
        name = checksum = None
        if safetensors is not None:
            try:
                name = self.put_weights(trial_id, safetensors)
                checksum = hashlib.sha256(safetensors).hexdigest()
                self._new_weights.add(name)
            except DoesNotFit:
                self._without_file.append(trial_id)
        return {"weights_file": name, "weights_sha256": checksum}

    def keep_pictures(self, trial_id: str, png: bytes | None) -> Columns:
        """Keep the picture of a trial's smallest changes if it fits. Return the column that names
        it, null where there is none."""
        name = None
        if png is not None:
            try:
                name = self.put_pictures(trial_id, png)
            except DoesNotFit:
                self._without_file.append(trial_id)
        return {"pictures_file": name}

    def left_out(self) -> list[str]:
        """Return one sentence about the files that have been left out since the last call, or
        none."""
        trials = list(dict.fromkeys(self._without_file))
        self._without_file = []
        if not trials:
            return []
        some = ", ".join(trials[:3]) + (", …" if len(trials) > 3 else "")
        of_trials = f"{len(trials)} trial{'s' if len(trials) > 1 else ''} ({some})"
        return [f"the disk has no room for weights or pictures of {of_trials}; their rows are kept"]

    def without_new_weights(self, row: Columns) -> Columns:
        """Remove the weights that were kept for a row that is not written yet. Return the row
        without them."""
        name = row.get("weights_file")
        if name not in self._new_weights:
            return row
        self.files.delete(name)
        self._without_file.append(row["trial_id"])
        return {**row, "weights_file": None, "weights_sha256": None}

    def rows_are_written(self) -> None:
        """Note that every file of weights kept so far has its row."""
        self._new_weights = set()

    def checkpoints(self) -> str:
        """Return the place of checkpoints: an absolute path or a bucket's address with {} in place
        of the trial's id. Creates the folder if need be."""
        self.files.make_inside("_checkpoints")
        return self._safetensors("_checkpoints")

    def weights(self) -> str:
        """Return the place of final weights, in the same form (`harness.store.location.read_kept`
        reads such a file)."""
        return self._safetensors("_weights")

    def _safetensors(self, folder: str) -> str:
        """Return the address of a trial's file with {} for its id and other braces doubled, for
        str.format."""
        mark = uuid.uuid4().hex
        address = self.files.address(f"{folder}/{mark}.safetensors")
        return address.replace("{", "{{").replace("}", "}}").replace(mark, "{}")

    def drop_checkpoints(self, trial_ids: Iterable[str]) -> None:
        """Delete the checkpoints of trials that have a row now, and temporary files of theirs that
        a killed worker left behind."""
        finished = set(trial_ids)
        if not finished:
            return

        for name in self.files.matching("_checkpoints", "*"):
            file = name.removeprefix("_checkpoints/").removeprefix(TEMPORARY)
            if file.partition(".")[0] in finished:
                self.files.delete(name)
