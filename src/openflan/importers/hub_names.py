"""Datasets by the names they had before every name on the hub got an owner.

promptsource and older task files say `super_glue`; the hub now says `aps/super_glue`. Sets that the catalog knows
and the commonest others; a name that isn't here is left to the task's owner.
"""

from typing import Any

__all__ = ["hub_source"]

_OWNERS = {
    "ag_news": "fancyzhx",
    "ai2_arc": "allenai",
    "amazon_polarity": "fancyzhx",
    "anli": "facebook",
    "cnn_dailymail": "abisee",
    "common_gen": "allenai",
    "commonsense_qa": "tau",
    "cosmos_qa": "allenai",
    "dbpedia_14": "fancyzhx",
    "drop": "ucinlp",
    "gigaword": "Harvard",
    "glue": "nyu-mll",
    "gsm8k": "openai",
    "hellaswag": "Rowan",
    "imdb": "stanfordnlp",
    "multi_nli": "nyu-mll",
    "openbookqa": "allenai",
    "paws": "google-research-datasets",
    "paws-x": "google-research-datasets",
    "piqa": "ybisk",
    "race": "ehovy",
    "rotten_tomatoes": "cornell-movie-review-data",
    "sciq": "allenai",
    "snli": "stanfordnlp",
    "squad": "rajpurkar",
    "squad_v2": "rajpurkar",
    "super_glue": "aps",
    "trec": "CogComp",
    "trivia_qa": "mandarjoshi",
    "winogrande": "allenai",
    "xnli": "facebook",
    "xsum": "EdinburghNLP",
    "yelp_polarity": "fancyzhx",
}


def hub_source(dataset: str, config: str | None = None, revision: str | None = None) -> dict[str, Any]:
    """The `source` of a task: the hub where the dataset has an owner, else a word to fetch it by hand."""
    more = {key: text for key, text in (("config", config), ("revision", revision)) if text}
    if "/" in dataset:
        return {"hub": dataset, **more}
    if dataset in _OWNERS:
        return {"hub": f"{_OWNERS[dataset]}/{dataset}", **more}
    name = f"{dataset} ({config})" if config else dataset
    return {"by_hand": f"find the dataset that was called {name}, or write its owner into source.hub"}
