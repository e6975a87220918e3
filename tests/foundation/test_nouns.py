"""The shared words: what is left open is filled from elsewhere, what was given stays."""

from tramontane.foundation.nouns import Sampling


def test_advised_sampling_fills_only_what_was_left_open() -> None:
    advised = Sampling(temperature=0.6, top_p=0.9, top_k=20, repetition_penalty=1.05)
    filled = Sampling(temperature=0.1, presence_penalty=0.5, repetition_penalty=1.0).filled_from(advised)
    assert filled == Sampling(temperature=0.1, top_p=0.9, top_k=20, presence_penalty=0.5, repetition_penalty=1.0)
    assert filled.filled_from(Sampling()) == filled


def test_zero_is_a_value_and_not_open() -> None:
    asked = Sampling(temperature=0.0, top_k=0)
    filled = asked.filled_from(Sampling(temperature=0.7, top_k=40))
    assert (filled.temperature, filled.top_k) == (0.0, 0)


def test_the_likeliest_text_is_penalised_only_when_that_is_asked() -> None:
    advised = Sampling(temperature=0.2, top_p=0.9, repetition_penalty=1.1)
    assert Sampling(temperature=0.0).filled_from(advised).repetition_penalty is None
    assert Sampling(temperature=0.0, repetition_penalty=1.2).filled_from(advised).repetition_penalty == 1.2
    assert Sampling(temperature=0.1).filled_from(advised).repetition_penalty == 1.1
    assert Sampling().filled_from(Sampling(temperature=0.0, repetition_penalty=1.1)).repetition_penalty == 1.1
