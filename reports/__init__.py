"""The report stage: rows → tables → fits → claims → figures → one HTML file. Needs neither torch
nor ray."""
