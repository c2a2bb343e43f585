"""Runs as one HTML page (`gan report`, and `report.html` of every run), and their curves as `.png`, `.svg` and `.pdf`.

`page.html.j2` is the page, rendered by Jinja2; uPlot (`uplot/`, MIT licence) draws its curves in the browser. matplotlib,
the extra `report`, draws curves as files. Nothing here imports torch.
"""
