"""Importers: what others wrote for their tools becomes ordinary task files.

One module a format reads (`promptsource`, `natural_instructions`, `lm_eval`); `foreign` and `splitting` turn their
Jinja into the sandbox's; `asking` finds the field and the options that a target asks for; `written` puts the result
on disk. What can't be imported is listed with its reason, never dropped in silence (docs/design/0008-importers.md).
"""
