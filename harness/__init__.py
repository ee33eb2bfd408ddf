"""The engine: sweep file → trials → batches → Ray → measurements → Parquet rows.

`unilaw run SWEEP.yaml` enters at `harness/cli.py` and the story of a run is told in
`harness/run.py`.
"""

from pathlib import Path

__version__ = "0.1.0"

HOME = Path(__file__).resolve().parent.parent
"""The folder that holds the packages of this installation."""
