"""openflan: labelled datasets in, an instruction-following model out, and proof that it generalises."""

__version__ = "0.1.0"
