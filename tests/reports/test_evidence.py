"""Which rows enter a fit, and which points are filled.

Run alone: python -m pytest tests/reports/test_evidence.py
"""

import pytest

from harness.errors import UserError
from reports.evidence import fit_rows, read_evidence
from tests.reports.language_rows import language_row, pretrained_row
from tests.reports.stores import failed, make_store, power_law, row

SIZES = (100, 200, 400, 800, 1600)


def evidence(tmp_path, rows):
    return read_evidence(make_store(tmp_path / "store", rows))


UNSETTLED = {"stop_reason": "epoch_cap", "below_noise": False, "below_bayes_error": False}


def grid(*unsettled: tuple[int, int]):
    """Return rows of two seeds at each of SIZES. Those in `unsettled` (p, seed) stopped at their
    cap."""
    return [
        row(p, seed=s, **(UNSETTLED if (p, s) in unsettled else {})) for p in SIZES for s in (0, 1)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unsettled", "fitted"),
    [
        ([], [200, 400, 800, 1600]),
        ([(100, 0), (100, 1)], [400, 800, 1600]),
        ([(100, 0)], [400, 800, 1600]),
        # two sizes past the onset at 400 are fewer than a curve needs
        ([(100, 0), (100, 1), (200, 1)], []),
        ([(800, 1)], [200, 400, 1600]),  # past the onset a cell stays out whole
    ],
)
def test_fits_take_whole_cells_past_the_onset(tmp_path, unsettled, fitted):
    t = evidence(tmp_path, grid(*unsettled)).trials
    assert sorted(fit_rows(t, "sphere, ±1 target, pure noise")["p"].unique()) == fitted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "fitted"),
    [
        ({}, [400, 800, 1600]),
        ({"outputs": 1}, [200, 400, 800, 1600]),  # 0.25 of ±1 labels is half of guessing's
        ({"epsilon": 0.1}, [200, 400, 800, 1600]),  # wrong labels need not be fitted
        ({"stop_rule": "interpolate", "stop_reason": "interpolated"}, [200, 400, 800, 1600]),
    ],
)
def test_a_net_that_has_learnt_nothing_enters_no_fit(tmp_path, changes, fitted):
    clean = {
        "outputs": 10,
        "epsilon": 0.0,
        "stop_rule": "epochs",
        "stop_reason": "epoch_cap",
    } | changes

    over = 0.25 if clean["outputs"] == 1 else 0.46
    t = evidence(
        tmp_path, [row(p, train_error=over if p == 100 else 0.24, **clean) for p in SIZES]
    ).trials
    assert sorted(t.loc[t["in_fit"], "p"]) == fitted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "changes", "learnt"),
    [
        (3.5, {}, True),  # errs on 60 % of its tokens
        (4.99, {}, True),  # 0.9 · log 256 = 4.9907
        (5.0, {}, False),
        (4.99, {"outputs": 128}, False),
        (3.5, {"tokens_distinct": 10, "bits_per_byte": 5.0}, True),
        (3.5, {"tokens_distinct": 10}, False),  # one target a sample: by its errors
        (5.0, {"tokens_distinct": 10, "train_error": 0.4}, True),
    ],
)
def test_a_language_model_has_learnt_when_its_loss_says_so(tmp_path, loss, changes, learnt):
    rows = [
        language_row(w, 640, loss, stability_attack_mean=0.1, **changes) for w in (8, 16, 32, 64)
    ]
    t = evidence(tmp_path, rows).trials
    assert (
        t["whole"].eq(learnt).all()
        and t["in_fit"].sum() == (3 if learnt else 0)
        and not t["tests_stability"].any()
    )


def test_models_trained_elsewhere_have_no_place_and_enter_no_fit(tmp_path):
    known = {"n": 1000, "tokens_distinct": 64_000, "train_loss": 2.0}
    t = evidence(
        tmp_path,
        [pretrained_row(p, **(known if p == 100 else {})) for p in (100, 200, 300, 400, 500)],
    ).trials.sort_values("p")

    assert set(t["kind"]) == {"pretrained, as published"} and not t["in_fit"].any()
    assert (
        t["x_law"].isna().tolist() == [False, True, True, True, True]
        and t["why_hollow"].str.startswith("trained elsewhere").all()
    )


def test_a_failed_seed_takes_its_whole_cell_out(tmp_path):
    rows = [r for r in grid() if not (r["p"] == 800 and r["seed"] == 1)] + [failed(p=800, seed=1)]
    t = evidence(tmp_path, rows).trials
    assert sorted(fit_rows(t, "sphere, ±1 target, pure noise")["p"].unique()) == [200, 400, 1600]
    assert not t.loc[t["p"] == 800, "complete"].any() and t.loc[t["p"] != 800, "complete"].all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "filled", "why"),
    [
        ({}, True, ""),
        (UNSETTLED, False, "cap on epochs"),
        ({"below_bayes_error": False}, False, "but not the 0-1 error"),
        (
            {
                "epsilon": 0.0,
                "sigma2": 0.0,
                "below_noise": False,
                "stop_rule": "interpolate",
                "stop_reason": "interpolated",
            },
            False,
            "no injected",
        ),
        ({"stop_reason": "epoch_cap", "stop_rule": "epochs", "below_noise": True}, True, ""),
        (
            {"stop_reason": "epoch_cap", "stop_rule": "epochs", "below_noise": False},
            False,
            "above the noise",
        ),
    ],
)
def test_filled_means_that_the_stability_forms_condition_is_met(tmp_path, changes, filled, why):
    (t,) = evidence(tmp_path, [row(**changes)]).trials.to_dict("records")
    assert (
        t["tests_stability"] == filled
        and why in t["why_hollow"]
        and bool(t["why_hollow"]) != filled
    )


def test_kinds_keep_targets_stop_rules_and_noise_apart(tmp_path):
    rows = [
        row(1),
        row(
            2,
            outputs=10,
            sigma2=None,
            bayes_error=0.27,
            epsilon=0.135,
            noise_kind="label_resample",
            eta=0.3,
        ),
        row(5, sigma2=0.64, epsilon=0.32, noise_kind="label_flip", eta=0.2),
        row(6, sigma2=0.25, epsilon=0.125),
        row(3, stop_rule="interpolate", stop_reason="interpolated"),
        row(
            7,
            outputs=256,
            sigma2=None,
            bayes_error=0.1,
            epsilon=0.05,
            noise_kind="target_resample",
            eta=0.1,
            family="gpt",
        ),
        row(4, epsilon=0.0, stop_rule="epochs", stop_reason="epoch_cap"),
    ]
    kinds = set(evidence(tmp_path, rows).trials["kind"])
    assert kinds == {
        "sphere, ±1 target, pure noise",
        "sphere, 10 classes, 30 % resampled",
        "sphere, ±1 target, 20 % flipped",
        "gpt, 256 classes, 10 % resampled",
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"config_json": "{"}, {"stop_rule": "<b>never</b>"}, {"family": None}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_row_that_no_unilaw_wrote_is_named_and_left_out(tmp_path, changes):
    bad = row(seed=1, **changes)
    e = evidence(tmp_path, [row(), bad])
    (problem,) = e.problems
    assert bad["trial_id"] in problem and next(iter(changes)) in problem
    assert len(e.trials) == 1
