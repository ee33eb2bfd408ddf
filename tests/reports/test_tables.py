"""Which rows enter a fit, and which points are filled."""

import pytest

from harness.errors import UserError
from reports.tables import fit_rows, read_evidence
from tests.reports.stores import failed, make_store, power_law, row

SIZES = (100, 200, 400, 800, 1600)


def evidence(tmp_path, rows):
    return read_evidence(make_store(tmp_path / "store", rows))


def test_the_onset_is_the_smallest_size_at_which_every_seed_met_the_rule(tmp_path):
    rows = [row(p, seed=s) for p in SIZES for s in (0, 1)]
    for r in rows:
        if r["p"] == 100 or (r["p"] == 200 and r["seed"] == 1):
            r |= {"stop_reason": "epoch_cap", "below_noise": False}
    e = evidence(tmp_path, rows)
    entered = fit_rows(e.trials, "sphere, ±1 target, pure noise")
    assert sorted(entered["p"].unique()) == [800, 1600] or sorted(entered["p"].unique()) == []
    assert entered.empty, "two sizes past the onset at 400 are fewer than the three that a curve needs"
    assert sorted(e.trials.loc[e.trials["entered"], "p"].unique()) == [800, 1600]


def test_a_cell_with_one_unsettled_seed_past_the_onset_stays_out_whole(tmp_path):
    rows = [row(p, seed=s) for p in SIZES for s in (0, 1)]
    for r in rows:
        if r["p"] == 800 and r["seed"] == 1:
            r |= {"stop_reason": "epoch_cap", "below_noise": False}
    assert sorted(fit_rows(evidence(tmp_path, rows).trials, "sphere, ±1 target, pure noise")["p"].unique()) == [200, 400, 1600]


@pytest.mark.parametrize(
    ("changes", "filled", "why"),
    [
        ({}, True, ""),
        ({"stop_reason": "epoch_cap", "below_noise": False}, False, "cap on epochs"),
        (
            {"epsilon": 0.0, "sigma2": 0.0, "below_noise": False, "stop_rule": "interpolate", "stop_reason": "interpolated"},
            False,
            "no injected",
        ),
        ({"stop_reason": "epoch_cap", "stop_rule": "epochs", "below_noise": True}, True, ""),
        ({"stop_reason": "epoch_cap", "stop_rule": "epochs", "below_noise": False}, False, "above the noise"),
    ],
)
def test_filled_means_below_a_known_noise_level(tmp_path, changes, filled, why):
    (t,) = evidence(tmp_path, [row(**changes)]).trials.to_dict("records")
    assert t["filled"] == filled and why in t["why_hollow"] and bool(t["why_hollow"]) != filled


def test_kinds_keep_targets_stop_rules_and_noise_apart(tmp_path):
    rows = [
        row(1),
        row(2, outputs=10, sigma2=None, bayes_error=0.27, epsilon=0.135, noise_kind="label_resample", eta=0.3),
        row(5, sigma2=0.64, epsilon=0.32, noise_kind="label_flip", eta=0.2),
        row(6, sigma2=0.25, epsilon=0.125),
        row(3, stop_rule="interpolate", stop_reason="interpolated"),
        row(4, epsilon=0.0, stop_rule="epochs", stop_reason="epoch_cap"),
    ]
    kinds = set(evidence(tmp_path, rows).trials["kind"])
    assert kinds == {
        "sphere, ±1 target, pure noise",
        "sphere, 10 classes, 30 % resampled",
        "sphere, ±1 target, 20 % flipped",
        "sphere, ±1 target, σ² 0.25",
        "sphere, ±1 target, pure noise, interpolated",
        "sphere, ±1 target, no injected noise, fixed epochs",
    }


def test_a_trial_that_failed_and_then_succeeded_counts_once(tmp_path):
    e = evidence(tmp_path, [failed(p=5), row(5, attempt=2), failed(p=6)])
    assert (len(e.trials), len(e.failures), e.attempts) == (1, 1, 3)


def test_other_settings_make_another_curve(tmp_path):
    e = evidence(tmp_path, power_law(0.2) + power_law(0.2, changes={"settings": {"depth": 2}}))
    assert e.trials["curve"].nunique() == 2


def test_no_store_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="there is no store"):
        read_evidence(tmp_path / "nowhere")
