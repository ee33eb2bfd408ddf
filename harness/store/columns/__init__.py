"""The columns of a row, one list per topic; `harness.store.schema` puts the lists in order."""
