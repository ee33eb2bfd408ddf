"""Parts of the page, each with its text, numbers and charts."""
