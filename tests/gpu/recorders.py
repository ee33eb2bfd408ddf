"""What records steps where the check runs."""

from harness.training.recorded import Recorder, recorder_for
from tests.gpu.line import Place
from tests.training.recording import Replays


def recorder_here(place: Place) -> Recorder:
    """Return the GPU's recorder; on a CPU one that replays by doing the work again."""
    return recorder_for(place.device) or Replays()
