"""The studio: tasks, templates, mixtures, runs and a model, looked at in the browser (docs/studio.md).

Pages are rendered here, on the user's machine, and no script comes from elsewhere. The studio has no logic of its own:
what it shows and does are names of `openflan` (docs/design/0016-studio.md).
"""
