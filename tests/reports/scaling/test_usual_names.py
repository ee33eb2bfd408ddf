"""Columns as public tables call them: what each is taken for, what is a ratio, and what is asked.

Run alone: python -m pytest tests/reports/scaling/test_usual_names.py
"""

import csv

import pytest

from harness.errors import UserError
from reports.scaling.columns import choose
from reports.scaling.name_units import of_name
from reports.scaling.read_table import Table

HEADERS = {
    # Li et al. 2025 (Step Law): the quotient is no size.
    "lr,bs,ti,loss,smooth loss,exp_name,D,N,D/N": {"N": "N", "D": "D", "L": "loss"},
    # nanochat's scaling laws
    "flops_budget,depth,num_params,num_scaling_params,tokens_trained,param_data_ratio,val_bpb": {
        "N": "num_params",
        "D": "tokens_trained",
        "C": "flops_budget",
        "L": "val_bpb",
    },
    # Exports of Weights & Biases: a configuration's fields, grouped measures, the step.
    "Name,_step,params,tokens,flops,train/loss,eval/loss": {
        "N": "params",
        "D": "tokens",
        "C": "flops",
        "L": "eval/loss",
    },
    "config.n_params,throughput/total_tokens,eval/macro_loss": {
        "N": "config.n_params",
        "D": "throughput/total_tokens",
        "L": "eval/macro_loss",
    },
    # DCLM's table of models, and a harness of tasks
    "model,hyperparameters.tokens,hyperparameters.params,acc_stderr,acc,acc_norm": {
        "N": "hyperparameters.params",
        "D": "hyperparameters.tokens",
        "Y": "acc",
    },
    'num_params,"acc_stderr,none","acc_norm,none"': {"N": "num_params", "Y": "acc_norm,none"},
    # Hestness et al.'s curves as they are copied, and other sizes of data sets
    "Domain,Task,Model,Seen Examples,Loss": {"X": "Seen Examples", "L": "Loss"},
    "samples seen,val_acc": {"X": "samples seen", "Y": "val_acc"},
    "examples_seen,error": {"X": "examples_seen", "Y": "error"},
    "Tokens seen,loss": {"D": "Tokens seen", "L": "loss"},
    # Li et al. 2025 ((Mis)fitting): parameters without embeddings are another convention.
    "loss,C4 Eval Loss,N,N_no_emb,D,C,C_no_emb,C_6ND": {
        "N": "N",
        "D": "D",
        "C": "C",
        "L": "loss",
    },
    # Epoch AI's tables of models
    "Parameters,Training compute (FLOP),Test loss": {
        "N": "Parameters",
        "C": "Training compute (FLOP)",
        "L": "Test loss",
    },
    "non_embedding_params,consumed_tokens,loss": {
        "N": "non_embedding_params",
        "D": "consumed_tokens",
        "L": "loss",
    },
    # A whole name comes before the end of another, and a usual one before a less usual one.
    "params,net/params,D,train/loss/tokens,loss": {"N": "params", "D": "D", "L": "loss"},
    "params,trainable_params,loss": {"N": "params", "L": "loss"},
    "tokens/params,tokens,N/loss,loss": {"D": "tokens", "L": "loss"},
    # Units in names, and losses with a statistic or a unit at the end of the name
    "Params (B),Tokens (T),Loss": {"N": "Params (B)", "D": "Tokens (T)", "L": "Loss"},
    "Size (M params),Compute (ZFLOPs),Val loss (nats)": {
        "N": "Size (M params)",
        "C": "Compute (ZFLOPs)",
        "L": "Val loss (nats)",
    },
    "params,PF-days,Loss [nats/token]": {
        "N": "params",
        "C": "PF-days",
        "L": "Loss [nats/token]",
    },
    "#params,#tokens,loss_mean,loss_std": {"N": "#params", "D": "#tokens", "L": "loss_mean"},
    "N_params,D_tokens,batch size (tokens),L": {"N": "N_params", "D": "D_tokens", "L": "L"},
    "Non-embedding parameters,Tokens,Final test cross-entropy": {
        "N": "Non-embedding parameters",
        "D": "Tokens",
        "L": "Final test cross-entropy",
    },
    # A forward pass's GFLOPs are no training compute; which FLOPs are meant is not asked where
    # both sizes are there.
    "mparams,gflops,loss": {"N": "mparams", "L": "loss"},
    "N,D,C,total train ZFLOPs,loss": {"N": "N", "D": "D", "L": "loss"},
    # Gadre et al. 2024: a term of the training loss, and settings, are no measures.
    "hyperparameters.tokens,hyperparameters.params,hyperparameters.z_loss,aux_loss,eval.c4.loss": {
        "N": "hyperparameters.params",
        "D": "hyperparameters.tokens",
        "L": "eval.c4.loss",
    },
    # Vague names count beside a size: ObsScaling's table
    "Model,Model Size (B),Pretraining Data Size (T),FLOPs (1E21),error": {
        "N": "Model Size (B)",
        "D": "Pretraining Data Size (T)",
        "C": "FLOPs (1E21)",
        "Y": "error",
    },
    "Size,Tokens (B),Loss": {"N": "Size", "D": "Tokens (B)", "L": "Loss"},
    "params,dataset,Loss": {"N": "params", "L": "Loss"},
}


def table(header: str) -> Table:
    """Return a table of two rows, no column of which equals another."""
    names = next(csv.reader([header]))
    columns = {name: [1.0 + i, 2.0 + i] for i, name in enumerate(names)}
    return Table("the table", columns, [2, 3])


@pytest.mark.parametrize("header", HEADERS)
def test_columns_of_public_tables_are_recognised(header):
    assert choose(table(header)).column == HEADERS[header]


ASKED = {
    "N,params,loss": "N (parameters) may be 'N' or 'params'",
    "eval/a/params,eval/b/params,loss": "N (parameters) may be 'eval/a/params' or 'eval/b/params'",
    "eval/c4/loss,eval/pile/loss,N": "L (loss) may be 'eval/c4/loss' or 'eval/pile/loss'",
}


@pytest.mark.parametrize("header", ASKED)
def test_two_columns_of_one_meaning_are_asked_about(header):
    with pytest.raises(UserError, match=r"^[^\n]+$") as refused:
        choose(table(header))
    assert ASKED[header] in str(refused.value)


def test_two_columns_that_are_equal_are_one():
    found = Table("the table", {"D": [1, 2], "train_tokens": [1, 2], "loss": [3, 2]}, [2, 3])
    assert choose(found).column == {"D": "D", "L": "loss"}


def test_the_step_of_a_run_is_no_size():
    assert set(choose(table("_step,loss")).column) == {"L"}


UNITS = {
    "params (M)": ("params", 1e6, ""),
    "tokens_in_billions": ("tokens", 1e9, ""),
    "Tokens (in billions)": ("Tokens", 1e9, ""),
    "params_m": ("params", 1e6, ""),
    "Model Size (B)": ("Model Size", 1e9, ""),
    "Data (T tokens)": ("Data", 1e12, "tokens"),
    "Params [1e9]": ("Params", 1e9, ""),
    "Tokens (×10⁹)": ("Tokens", 1e9, ""),
    "tokens (10^9)": ("tokens", 1e9, ""),
    "FLOPs (1E21)": ("FLOPs", 1e21, ""),
    "Compute (EFLOPs)": ("Compute", 1e18, "flops"),
    "Training compute (FLOP)": ("Training compute", 1.0, "flops"),
    "ZFLOPs": ("flops", 1e21, "flops"),
    "total train ZFLOPs": ("flops", 1e21, "flops"),
    "PF-days": ("flops", 8.64e19, "flops"),
    "compute_PF-days": ("flops", 8.64e19, "flops"),
    "mparams": ("params", 1e6, "params"),
    "loss (nats/token)": ("loss", 1.0, ""),
    "accuracy (%)": ("accuracy", 1.0, ""),
    # No units
    "N": ("N", 1.0, ""),
    "total_tokens": ("total_tokens", 1.0, ""),
    "gflops": ("gflops", 1.0, ""),
    "TFLOP/s": ("TFLOP/s", 1.0, ""),
    "loss (dev)": ("loss (dev)", 1.0, ""),
    "num_params": ("num_params", 1.0, ""),
}


@pytest.mark.parametrize("name", UNITS)
def test_a_name_says_what_its_numbers_count(name):
    assert of_name(name) == UNITS[name]


def test_models_called_by_their_sizes_are_sizes_and_numbers_of_models_are_none():
    rows = {"Data": ["2B", "8B"], "Val loss": [3.0, 2.5]}
    found = choose(Table("the table", {"Model": ["100M", "1.3B"], **rows}, [2, 3]))
    assert found.column == {"N": "Model", "D": "Data", "L": "Val loss"}
    for models in (["1", "2"], ["small", "large"]):
        alone = Table("the table", {"Model": models, **rows, "tokens": [1e9, 2e9]}, [2, 3])
        assert choose(alone).column == {"D": "tokens", "L": "Val loss"}


def test_who_names_one_size_gets_the_other_one_too():
    names = "Params,N,D,loss,C"
    assert choose(table(names), "N=N").column == {"N": "N", "D": "D", "L": "loss"}
    assert choose(table("N,C,loss"), "N=N").column == {"N": "N", "C": "C", "L": "loss"}
    assert choose(table(names), "X=N").column == {"X": "N", "L": "loss"}
    assert choose(table(names), "N=N,D=C").column == {"N": "N", "D": "C", "L": "loss"}


def test_parameters_without_embeddings_are_the_other_convention():
    for name in ("params_no_embed", "Non-embedding params", "nonembed_params", "N_no_emb"):
        found = choose(table(f"params,D,loss,{name}"))
        assert (found.column["N"], found.alternative) == ("params", name)


def test_a_hint_can_be_typed_into_a_shell():
    with pytest.raises(UserError, match="choose with --columns 'L=a train loss'$"):
        choose(table("N,D,a train loss,b train loss"))
