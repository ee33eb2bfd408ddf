"""A table becomes arrays, whoever wrote it and however; what is no table, or holds a cell that
cannot be used, gets one sentence with its row and column.

Run alone: python -m pytest tests/reports/scaling/test_table.py
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from harness.errors import UserError
from reports.scaling.table import load
from tests import ROOT

ROWS = "N,D,loss\n1e8,2e9,3.1\n1e9,2e10,2.6\n4e9,8e10,2.3\n"
EXAMPLE = ROOT / "reports" / "examples" / "gpt-law-noise"


@pytest.fixture
def write(tmp_path: Path):
    """Return a function that writes a table and returns its path."""

    def write(text: str | bytes, name: str = "runs.csv") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        ROWS.replace(",", "\t"),
        ROWS.replace(",", ";"),
        ROWS.replace("\n", "\r\n"),
        "\ufeff" + ROWS,
        ROWS.encode("utf-16"),
        "\n" + ROWS + "\n\n",
        "# N,Training tokens,val loss\n100M,2B,3.1\n1B,20 B tokens,2.6\n4.0 bn,8x10^10,2.3\n",
        'params (M),tokens (in billions),loss\n100,2,3.1\n"1,000",20,2.6\n"4,000.0",80,2.3\n',
        "n_params;tokens;test_loss\n1e8;2000000000;3,1\n1e9;2e10;2,6\n4e9;8e10;2,3\n",
        "N,flops,loss\n1e8,1.2e18,3.1\n1e9,1.2e20,2.6\n4e9,1.92e21,2.3\n",
        "N,D/N,loss\n1e8,20,3.1\n1e9,20,2.6\n4e9,20,2.3\n",
        "params (M),PF-days,loss\n100,0.0138888889,3.1\n1000,1.38888889,2.6\n4000,22.2222222,2.3\n",
        "Model,Data,Loss (nats)\n100M,2B,3.1\n1B,20B tokens,2.6\n4B,80B,2.3\n",
        "Parameter;Tokens;Loss\n100.000.000;2.000.000.000;3,1\n1e9;2e10;2,6\n4e9;80.000.000.000;2,3\n",
        "N D loss\n1e8  2e9  3.1\n1e9 2e10   2.6\n4e9 8e10 2.3\n",
        "| N | D | loss |\n|---|--:|:-:|\n| 1e8 | 2e9 | 3.1 |\n|1e9|2e10|2.6|\n|4e9|8e10|2.3|\n",
        "sep=;\nN;D;loss\n1e8;2e9;3.1\n1e9;2e10;2.6\n4e9;8e10;2.3\n",
        "# of March\n# N counts all\n" + ROWS,
        "".join(f"{line},\n" for line in ROWS.splitlines()),
        ROWS.replace("3.1\n", "3.1,,\n"),
        '{"N": 1e8, "D": 2e9, "eval": {"loss": 3.1}}\n\n'
        '{"N": 1e9, "D": "20B", "eval": {"loss": 2.6}}\n'
        '{"eval": {"loss": 2.3}, "N": "4B", "D": 8e10}\n',
        '[{"N": 1e8, "D": 2e9, "loss": 3.1}, {"N": 1e9, "D": 2e10, "loss": 2.6},\n'
        ' {"N": 4e9, "D": 8e10, "loss": 2.3}]',
        '{"N": [1e8, 1e9, 4e9],\n "D": [2e9, 2e10, 8e10],\n "loss": [3.1, 2.6, 2.3]}',
        '{"N": {"0": 1e8, "1": 1e9, "2": 4e9}, "D": {"0": 2e9, "1": 2e10, "2": 8e10},'
        ' "loss": {"0": 3.1, "1": 2.6, "2": 2.3}}',
        "tokens,C,loss\n2e9,1.2e18,310%\n2e10,1.2e20,260 %\n8e10,1.92e21,230%\n",
    ],
)
def test_one_table_in_many_hands(write, text):
    points = load(write(text)).points
    np.testing.assert_allclose(points.inputs["N"], [1e8, 1e9, 4e9])
    np.testing.assert_allclose(points.inputs["D"], [2e9, 2e10, 8e10])
    np.testing.assert_allclose(points.y, [3.1, 2.6, 2.3])


def test_a_parquet_file_a_frame_and_a_dict_are_tables_too(tmp_path: Path):
    table = {"N": [1e8, 1e9], "D": [2e9, 2e10], "loss": [3.0, 2.0]}
    frame = pd.DataFrame(table)
    frame.to_parquet(tmp_path / "runs.parquet")
    for source in (table, frame, frame.set_index("N").reset_index(), tmp_path / "runs.parquet"):
        assert load(source).points.y.tolist() == [3.0, 2.0]


def test_sizes_in_the_index_records_and_other_libraries_are_tables():
    table = {"N": [1e8, 1e9, 1e9], "D": [2e9, 2e10, 4e10], "loss": [3.0, 2.0, 1.9]}
    frame = pd.DataFrame(table)
    grouped = frame.set_axis(
        pd.MultiIndex.from_tuples([("N", ""), ("D", ""), ("a", "loss")]), axis=1
    )
    records = frame.to_dict("records")
    sources = [frame.set_index("N"), frame.set_index(["N", "D"]), grouped, records]
    for source in [*sources, pa.table(table)]:
        points = load(source).points
        assert points.inputs["N"].tolist() == table["N"] and points.y.tolist() == table["loss"]
    for wrong in (3, [1, 2], None):
        with pytest.raises(UserError, match=r"^[^\n]+$"):
            load(wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_a_store_is_a_table_of_its_newest_rows():
    loaded = load(EXAMPLE, where=["lr=0.001", "n=4000"])
    assert loaded.columns.startswith("N is 'p', D is 'tokens_seen', U is 'tokens_distinct'")
    assert loaded.left_out > 0 and loaded.rows + loaded.left_out == 92
    (note,) = [note for note in load(EXAMPLE).notes if "kinds" in note]
    assert "by noise_kind, epsilon" in note


BAD = {
    "": "'runs.csv' is empty",
    "N,D,loss\n": "has columns but no rows",
    "just words\n": "has one column, 'just words'; columns are parted by commas, tabs",
    "1,2,3\n4,5,6\n": "row 1: holds numbers; write the names of the columns there",
    'N,D,loss\n1e8,"2e9,3\n': "row 2: not a table",
    "N,D,loss\n1e8,2e9\n": "row 2: 2 cells, but the header names 3 columns",
    "N,D,loss,loss\n1,2,3,4\n": "several columns are called 'loss'; rename one",
    "N,params,loss\n1,2,3\n": "N (parameters) may be 'N' or 'params'; choose with --columns N=N",
    "N,D,val_loss,test_loss\n1,2,3,4\n": "L (loss) may be 'val_loss' or 'test_loss'",
    "N,D,speed\n1,2,3\n": "no column is called a loss, an error or an accuracy",
    "colour,loss\n1,2\n2,3\n": "no column is called parameters, tokens, FLOPs or another size",
    "N,D,loss\n1e8,2e9,3\n\n1e9,,2\n": "row 4, column 'D': has no value; leave such rows out with"
    " --where 'D!=none'",
    "N,D,loss\n1e8,2e9,3\n1e9,2e9,NaN\n": "row 3, column 'loss': has no value",
    "N,D,loss\n1e8,2e9,3\n1e9,2e9,inf\n": "row 3, column 'loss': is inf",
    "N,D,loss\n1e8,2e9,3\n1e9,2e9,1e999\n": "column 'loss': is '1e999', which is out of range",
    "N,D,loss\n1e8,2e9,3\n1e9,2e9,good\n": "row 3, column 'loss': is 'good', which is no number",
    "N,D,loss\n1e8,2e9,3M\n": "column 'loss': is '3M'; write a measure as a plain number",
    "N,D,loss\n0,2e9,3\n1e9,2e9,2\n": "row 2, column 'N': is 0 and must be above 0",
    "N,D,loss\n1e8,-2e9,3\n1e9,2e9,2\n": "row 2, column 'D': is -2e+09 and must be above 0",
    "N,D,loss\n1e8,2e9,0\n": "column 'loss': is 0 and must be above 0, because residuals are of",
    'N,D,loss\n"85,000",2e9,3\n': "'85,000' may mean thousands or decimals",
    'N,D,loss\n"1,2,3",2e9,3\n': "row 2, column 'N': is '1,2,3', which is no number",
    "N,D,loss\n1e8,2e9,3\n": "has one row to fit, row 2; a curve needs more",
    "N,D,loss\n1e8,2e9,3\n1e9,2e10,3\n": "rows 2 to 3, column 'loss': every row has 3",
    "N,D,loss\n1e8,2e9,3\n1e8,2e9,2\n": "'N' and 'D' is the same in every row",
    "N,D,perplexity\n1e8,2e9,9\n": "name it with --columns 'L=ln(perplexity)'",
    '{"N": 1e8, "D": 2e9, "loss": 3}\n{"N": 1e8,\n': "row 2: not JSON",
    '{"N": 1e8, "D": 2e9, "loss": 3}\n{"N": 1e8, "loss": 3}\n': "row 2, column 'D': has no value",
    '[{"N": 1e8, "loss": 3}, 4]': "row 2: is no record; a table in JSON is a record a line",
    '{"N": [1e8, 1e9], "loss": [3]}': "its columns differ in length",
    '[{"N": 1e8': "row 1: not JSON",
    "[]": "has one column, '[]'",
    "N,D,U,loss\n1e8,2e9,3e9,3\n1e9,2e9,1e9,2\n": "row 2: 3e+09 distinct tokens ('U') exceed 2e+09",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_bad_table_is_one_sentence_with_row_and_column(write, text):
    with pytest.raises(UserError, match=r"^[^\n]+$") as refused:
        load(write(text))
    assert BAD[text] in str(refused.value)


@pytest.mark.parametrize(
    "content,sentence",
    [
        (b"N,D,loss\n1,2,3\n1,2,\xe9\n", "row 3: not in UTF-8 from byte 20 on"),
        (b"PK\x03\x04anything", "is a spreadsheet or an archive, not text"),
        (b"\x00\x01\x02", "is not text"),
        (b"PAR1 torn", "is damaged or no Parquet file"),
    ],
)
def test_what_is_no_text_says_what_it_is(write, content, sentence):
    with pytest.raises(UserError, match=r"^[^\n]+$") as refused:
        load(write(content))
    assert sentence in str(refused.value)


ASKED = [
    ({"columns": ["N=parms"]}, "has no column 'parms' for N; it has 'params', "),
    ({"columns": ["N=parms"]}, "did you mean 'params'?"),
    ({"columns": ["Q=params"]}, "--columns Q=params: the roles are N (parameters), D"),
    ({"columns": ["params"]}, "--columns 'params': must be ROLE=COLUMN"),
    ({"columns": ["N=params,D=params"]}, "--columns D=params: one of the two is named already"),
    ({"cluster": "modle"}, "--cluster 'modle': the table 'runs.csv' has no such column"),
    ({"cluster": "run"}, "--cluster run: every row has 'a'"),
    ({"budget": "flop"}, "--budget 'flop': must be FLOPs such as 1e21, or a column"),
    ({"budget": float("nan")}, "--budget nan: FLOPs must be above 0 and finite"),
    ({"budget": -1}, "--budget -1: FLOPs must be above 0 and finite"),
    ({"budget": "0"}, "--budget 0: FLOPs must be above 0 and finite"),
    ({"columns": "N=parms,D=tokens"}, "has no column 'parms' for N"),
    ({"where": ["loss<1"]}, "none of the 3 rows fits; 'loss' has the values 2, 3, 4"),
    ({"where": ["los<1"]}, "there is no column 'los'; the columns are params, tokens"),
    ({"needs": {"U"}}, "the form needs U (distinct tokens); name its column with --columns U="),
    ({"needs": {"L"}}, "the score that the form needs is missing"),
]


@pytest.mark.parametrize("asked,sentence", ASKED, ids=range(len(ASKED)))
def test_a_wrong_option_is_one_sentence(write, asked, sentence):
    path = write("params,tokens,loss,run\n1e8,2e9,4,a\n1e9,2e10,3,a\n4e9,8e10,2,a\n")
    with pytest.raises(UserError, match=r"^[^\n]+$") as refused:
        load(path, **asked)
    assert sentence in str(refused.value)


def test_no_table_where_one_is_named(tmp_path: Path):
    (tmp_path / "runs.csv").write_text(ROWS)
    with pytest.raises(UserError, match="there is no table .*; did you mean 'runs.csv'?"):
        load(tmp_path / "run.csv")


def test_the_logarithm_of_a_perplexity_is_a_loss(write):
    path = write("N,D,ppl\n1e8,2e9,20\n1e9,2e10,10\n")
    found = load(path, columns="L=ln(ppl)")
    np.testing.assert_allclose(found.points.y, np.log([20, 10]))
    assert "the measure is 'ln(ppl)'" in found.columns
    with pytest.raises(UserError, match=r"row 2, column 'ln\(ppl\)': is 'low', which is no number"):
        load(write("N,D,ppl\n1e8,2e9,low\n1e9,2e10,10\n"), columns="L=ln(ppl)")


def test_a_filter_over_two_columns_of_one_name_is_refused(write):
    path = write("N,D,note,note,loss\n1e8,2e9,a,b,3\n1e9,2e10,a,c,2\n")
    with pytest.raises(UserError, match="several columns are called 'note'; rename one"):
        load(path, where=["note=a"])


def test_columns_with_commas_and_signs_in_their_names(write):
    path = write('a,"size, total",eval/loss=nats\nx,1e8,3\ny,1e9,2\nz,1e9,1\n')
    found = load(path, columns=["X=size, total,L=eval/loss=nats"], where=["a!=z"])
    assert found.points.inputs["X"].tolist() == [1e8, 1e9] and found.left_out == 1


def test_columns_are_named_in_one_text_or_several_or_by_role(write):
    path = write("a,b,c\n1e8,2e9,3\n1e9,2e10,2\n")
    for named in ("N=a,D=b,L=c", ["N=a", "D=b,L=c"], {"N": "a", "D": "b", "L": "c"}):
        points = load(path, columns=named).points
        assert list(points.inputs) == ["N", "D"] and points.y.tolist() == [3, 2]


def test_the_other_convention_of_parameters_is_another_column(write):
    rows = "non_embedding_params,params,D,loss\n1e8,2e8,2e9,3\n1e9,3e9,2e10,2\n"
    both = write(rows)
    with_embeddings = load(both).points
    assert with_embeddings.inputs["N"].tolist() == [2e8, 3e9]
    assert with_embeddings.alternatives["N"].tolist() == [1e8, 1e9]
    without = load(both, columns="N=non_embedding_params,D=D").points
    assert without.alternatives["N"].tolist() == [2e8, 3e9]
    assert without.name("other N") == "params"
    same = load(write(rows.replace("1e8,2e8", "2e8,2e8").replace("1e9,3e9", "3e9,3e9")))
    assert not same.points.alternatives, "equal columns are one convention"
    alone = load(write(rows.replace("params,D", "width,D")), columns="N=non_embedding_params,D=D")
    assert not alone.points.alternatives


def test_repeated_tokens_are_told_by_a_column_of_epochs(write):
    path = write("N,D,epochs,loss\n1e8,2e9,1,3\n1e9,4e9,4,2\n")
    found = load(path)
    assert found.points.inputs["U"].tolist() == [2e9, 1e9]
    assert "the first of them row 3; distinct tokens are tokens / 'epochs'" in " ".join(found.notes)

    named = load(path, columns=["N=N,D=D,L=loss"])
    assert "U" not in named.points.inputs
    assert "Tokens repeat in 1 of 2 rows, the first of them row 3" in " ".join(named.notes)


def test_rows_of_one_model_are_asked_about(write):
    rows = [f"{n},{d},{3 - 1e-10 * d}" for n in ("1e8", "1e9") for d in (1e9, 2e9, 3e9)]
    path = write("\n".join(["N,D,loss", *rows]))
    assert "name --cluster N" in " ".join(load(path).notes)
    clustered = load(path, cluster="N")
    assert clustered.points.cluster is not None and not clustered.notes


def test_one_size_that_varies_is_the_curves(write):
    found = load(write("N,D,loss\n1e8,1e9,3\n1e8,2e9,2\n"))
    assert list(found.points.inputs) == ["X"]
    assert "'N' is 1e8 in every row, so the curve is in 'D' alone." in found.notes


def test_sizes_in_unknown_units_are_asked_about(write):
    assert "counts in millions or billions" in " ".join(
        load(write("N,D,loss\n0.1,20,3\n7,140,2\n")).notes
    )


def test_a_budget_is_a_number_or_a_column(write):
    path = write("N,D,budget,loss\n1e8,1e9,6e17,3\n1e9,2e9,1.2e19,2\n")
    assert load(path, budget="1e21").budget == 1e21
    assert load(path, budget="budget").budget == 1.2e19


NARROW = "N,D,loss\n2.151e9,1e9,3\n2.16e9,2e9,2.5\n2.155e9,4e9,2.2\n"


def test_a_size_that_hardly_varies_is_left_out_unless_it_is_asked_for(write):
    path = write(NARROW)
    (said,) = [note for note in load(path).notes if "spans" in note]
    assert "'N' spans only 2.151e9 to 2.16e9, a factor of 1.004" in said
    assert "The curve is in 'D' alone." in said
    for chosen in (load(path), load(path, columns="L=loss"), load(path, needs={"X"})):
        assert list(chosen.points.inputs) == ["X"]
    for asked in (load(path, columns="N=N,D=D"), load(path, needs={"N", "D"})):
        assert list(asked.points.inputs) == ["N", "D"]

    both = load(write(NARROW.replace("2e9", "1.1e9").replace("4e9", "1.2e9")))
    assert list(both.points.inputs) == ["N", "D"], "neither size tells more than the other"
