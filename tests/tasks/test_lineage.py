"""Lineage: two tasks share a text where their corpora meet, and broad corpora are no meeting."""

from openflan.tasks.lineage import known_corpora, shared_source, shared_sources


def test_the_nearest_shared_corpus_and_both_ways_to_it_are_told():
    descent = shared_source(["rte_pairs", "squad"], ["google_queries", "squad"])
    assert (descent.corpus, descent.left, descent.right) == ("squad", ("squad",), ("squad",))


def test_broad_corpora_condemn_nothing():
    assert known_corpora()["wikipedia"].broad
    assert shared_source(["squad"], ["google_queries"]) is None
    assert shared_source(["wikipedia"], ["wikipedia"]) is None


def test_condemning_is_mutual():
    corpora = [[name] for name in known_corpora()]
    for left in corpora:
        for right in corpora:
            one, other = shared_source(left, right), shared_source(right, left)
            assert (one is None) == (other is None)
            assert one is None or (one.corpus, one.left, one.right) == (other.corpus, other.right, other.left)


def test_a_name_of_ones_own_is_a_corpus_too():
    assert shared_source(["our_tickets"], ["our_tickets"]).corpus == "our_tickets"
    assert shared_source(["our_tickets"], ["your_tickets"]) is None


def test_every_shared_corpus_is_found_but_not_what_it_was_made_from():
    sources = shared_sources(["our_tickets", "squad", "rte_pairs"], ["squad", "our_tickets"])
    assert {one.corpus for one in sources} == {"our_tickets", "squad"}
    origin = next(
        name
        for name, corpus in known_corpora().items()
        if any(not known_corpora()[one].broad for one in corpus.made_from) and not corpus.broad
    )
    assert [one.corpus for one in shared_sources([origin], [origin])] == [origin]
