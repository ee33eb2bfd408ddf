"""The formats of a report beside the page: sentences and tables in Markdown, figures in JSON, rows
in CSV."""
