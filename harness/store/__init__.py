"""Rows in Parquet files, on a disk or in a bucket."""
