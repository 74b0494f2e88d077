"""The sentence that a run's page opens with."""

from synthetic_run import SUITE, Task, leakage, make_material

from openflan.report.headline import leak_clause, run_headline


def test_it_names_each_held_out_cluster_with_scores_interval_and_what_it_shows(material):
    first, second = material.results.verdict.held_out
    sentence = run_headline([first, second], material.leakage)
    low, high = (f"+{100 * end:.1f}" for end in first.gain_ci95)
    assert sentence.startswith(
        f"Held out of tuning, natural language inference scores {100 * first.tuned:.1f} tuned against"
    )
    assert f"95 % interval {low} to {high}: gain)" in sentence
    assert "no gain shown)" in sentence
    assert sentence.endswith("; the tuning set is clean.")


def test_a_gain_that_not_every_seed_shows_says_so(material):
    verdict = material.results.verdict.held_out[0]
    doubtful = verdict.by_seed[1].model_copy(update={"gain_ci95": (-0.01, 0.2)})
    mixed = verdict.model_copy(update={"by_seed": [verdict.by_seed[0], doubtful, verdict.by_seed[2]]})
    assert "gain, though with 2 of 3 seeds alone" in run_headline([mixed], None)


def test_of_many_clusters_none_is_left_out():
    names = ("sentiment", "coreference", "translation", "commonsense")
    suite = [
        Task(name=f"task_{n}", cluster=name, role="held_out", untuned=0.5, tuned=0.9 if n < 2 else 0.1)
        for n, name in enumerate(names)
    ]
    verdicts = make_material([*suite, SUITE[3]], seeds=[0], rows=30).results.verdict.held_out
    sentence = run_headline(verdicts, leakage(suite))
    assert (
        "Of 4 clusters held out of tuning, the tuned model is better on coreference and sentiment and worse on"
        in sentence
    )
    assert all(name in sentence for name in names)


def test_without_held_out_clusters_nothing_is_called_zero_shot():
    assert run_headline([], None) == (
        "No held-out cluster was measured, so nothing here is zero-shot; there is no leak certificate."
    )


def test_the_certificate_in_a_clause(material):
    assert (
        leak_clause(material.leakage.model_copy(update={"items": {}}))
        == "no held-out item was there to be checked for leaks"
    )
    assert leak_clause(leakage(SUITE, dirty=1)).startswith("the tuning set is leaking (3 of 180")
