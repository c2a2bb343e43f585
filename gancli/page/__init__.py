"""Runs as one HTML page (`gan report`, and `report.html` of every run), and their curves as `.png`, `.svg` and `.pdf`.

Jinja2 renders the page from `page.html.j2`, and uPlot (`uplot/`, MIT licence) draws its curves in the browser. matplotlib
(the extra `report`) draws figures. Nothing here imports torch.
"""
