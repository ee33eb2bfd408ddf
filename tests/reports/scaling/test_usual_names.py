"""Columns as public tables call them: what each is taken for, what is a ratio, and what is asked.

Run alone: python -m pytest tests/reports/scaling/test_usual_names.py
"""

import csv

import pytest

from harness.errors import UserError
from reports.scaling.columns import choose
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
