"""Which cluster a dataset of promptsource belongs to.

The datasets of T0 by the task types that its authors give them (Sanh et al. 2022, figure 2 and the table of datasets
of their public code), put into our clusters; what they call topic classification stands alone in `misc`. Other datasets
are `misc` until their new owner says otherwise.
"""

__all__ = ["cluster_of"]

_DATASETS = {
    "closed_book_qa": "ai2_arc kilt_tasks/hotpotqa trivia_qa web_questions wiki_qa",
    "commonsense": "super_glue/copa hellaswag piqa story_cloze cos_e social_i_qa",
    "coreference": "super_glue/wsc.fixed super_glue/axg winogrande wino_bias winograd_wsc",
    "natural_language_inference": "super_glue/cb super_glue/rte super_glue/axb anli snli multi_nli xnli",
    "paraphrase": "glue/mrpc glue/qqp paws glue/stsb",
    "reading_comprehension": (
        "adversarial_qa duorc ropes squad squad_v2 quoref super_glue/boolq super_glue/multirc dream openbookqa qasc"
        " quail quarel quartz race sciq wiki_hop wiqa"
    ),
    "reading_comprehension_with_commonsense": "super_glue/record cosmos_qa",
    "sentiment": "amazon_polarity app_reviews imdb rotten_tomatoes yelp_review_full yelp_polarity glue/sst2",
    "struct_to_text": "common_gen wiki_bio e2e_nlg web_nlg dart",
    "summarization": "cnn_dailymail gigaword multi_news samsum xsum",
}
_SUBCLUSTERS = {
    "linguistic_acceptability": "glue/cola",
    "question_classification": "trec",
    "word_sense": "super_glue/wic",
}


def cluster_of(dataset: str, subset: str | None) -> tuple[str, str | None]:
    """A dataset's cluster, and its subcluster within `misc`; `misc` where it is not known."""
    names = {dataset, f"{dataset}/{subset}"}
    for cluster, words in _DATASETS.items():
        if names & set(words.split()):
            return cluster, None
    for subcluster, words in _SUBCLUSTERS.items():
        if names & set(words.split()):
            return "misc", subcluster
    return "misc", None
