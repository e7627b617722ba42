"""The pictures of the documentation, drawn from the bundled samples: ``cd docs && python -m pictures [NAME ...]``.

Every number in a picture is computed here, none is typed. A picture is a function with `picture` above it, in the
module of its kind.
"""
