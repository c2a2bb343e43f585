"""Runs as one page for browsers (`gan report`, and `report.html` of every run), and their curves as pictures.

The page draws its curves itself: SVG written here, and a small script in the page that draws it again when one zooms. No
plotting library makes it, on purpose: the page is written at the end of every run, wherever that is, so it must need
nothing but what trains; a library's script alone (Plotly's is 3.5 MB and more) would be most of the 5 MB that a page may
have; and its text, tables and keys are then ours to get right. matplotlib, the extra `report`, draws `.png`, `.svg` and
`.pdf` for papers. Nothing here imports torch.
"""
