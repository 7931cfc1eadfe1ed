"""Sentence embeddings: as the reference computes them, and fit for the default bounds of Rewrite."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from bitagent_crds.alterations import Rewrite
from bitagent_evaluator.support.embedding import CachedEmbedding, Embedding, MiniLM, Vector, similarity

DEFAULTS = Rewrite(url="http://127.0.0.1/v1", model="m")
LOWEST, HIGHEST = float(DEFAULTS.min_similarity), float(DEFAULTS.max_similarity)

PARAPHRASES = [
    ("What is the weather in Paris tomorrow?", "Tell me tomorrow's forecast for Paris."),
    ("Book a table for four at Luigi's at 7 pm.", "Please reserve a table at Luigi's at 7 pm, we are four people."),
    ("Convert 250 US dollars to euros.", "How many euros do I get for 250 US dollars?"),
    (
        "Find the area of a triangle with base 10 and height 5.",
        "A triangle has base 10 and height 5. How big is its area?",
    ),
    ("Play some jazz music in the living room.", "I would like to hear jazz in the living room."),
    ("Send an email to Anna saying that I will be late.", "Let Anna know by email that I'm going to be late."),
    ("What's the stock price of Apple?", "At what price does Apple stock trade at the moment?"),
    ("Cancel my appointment on Friday.", "My appointment on Friday has to be called off."),
    ("List all flights from Berlin to Rome on May 3.", "Which flights go from Berlin to Rome on May 3?"),
    (
        "Calculate the compound interest on 1000 at 5% over 3 years.",
        "With 1000 invested at 5%, what is the compound interest after 3 years?",
    ),
    ("Translate 'good morning' into Japanese.", "How does one say 'good morning' in Japanese?"),
    ("Who won the world cup in 2014?", "Which team was the winner of the 2014 world cup?"),
    ("Set the thermostat to 21 degrees.", "Make it 21 degrees in here with the thermostat."),
    ("Order a large pepperoni pizza.", "I'll have a pepperoni pizza, large size."),
    (
        "Find me a hotel in Tokyo under 100 dollars a night.",
        "I need a Tokyo hotel that costs less than 100 dollars per night.",
    ),
    ("How far is it from London to Edinburgh?", "Tell me the distance between London and Edinburgh."),
]
UNRELATED = [
    ("What is the weather in Paris tomorrow?", "Compute the determinant of this matrix."),
    ("Book a table for four at Luigi's at 7 pm.", "What is the boiling point of mercury?"),
    ("Convert 250 US dollars to euros.", "Play some jazz music in the living room."),
    ("Find the area of a triangle with base 10 and height 5.", "Who wrote War and Peace?"),
    ("Send an email to Anna saying that I will be late.", "List the prime numbers below 50."),
    ("Cancel my appointment on Friday.", "The mitochondrion is the powerhouse of the cell."),
    ("Order a large pepperoni pizza.", "Sure! I can help you with that. Here is a poem about the sea."),
    ("How far is it from London to Edinburgh?", "def quicksort(items): return items"),
]
UNCHANGED = [
    ("What is the weather in Paris tomorrow?", "What is the weather in Paris tomorrow?"),
    ("What is the weather in Paris tomorrow?", "what is the weather in paris tomorrow?"),
    ("List all flights from Berlin to Rome on May 3.", "List all the flights from Berlin to Rome on May 3."),
    ("Convert 250 US dollars to euros.", "Convert  250  US dollars to euros."),
    ("Find me a hotel in Tokyo under 100 dollars a night.", "Find me a hotel in Tokyo under 100 dollars a night"),
]


@pytest.fixture(scope="module")
def embedding() -> Embedding:
    return MiniLM()


def of(embedding: Embedding, pair: tuple[str, str]) -> float:
    return float(similarity(*map(embedding.vector, pair)))


@pytest.mark.parametrize("pair", PARAPHRASES, ids=[a for a, _ in PARAPHRASES])
def test_a_paraphrase_is_inside_the_default_bounds(embedding: Embedding, pair: tuple[str, str]) -> None:
    assert 0.5 < of(embedding, pair) <= HIGHEST


@pytest.mark.parametrize("pair", UNRELATED, ids=[b for _, b in UNRELATED])
def test_something_else_is_below(embedding: Embedding, pair: tuple[str, str]) -> None:
    assert of(embedding, pair) < LOWEST


@pytest.mark.parametrize("pair", UNCHANGED, ids=[b for _, b in UNCHANGED])
def test_the_same_in_other_spelling_is_above(embedding: Embedding, pair: tuple[str, str]) -> None:
    assert of(embedding, pair) > HIGHEST


def test_vectors_are_the_references(embedding: Embedding) -> None:
    """Numbers of the same files in torch, by transformers' BertModel with mean pooling."""
    pair = ("What is the weather in Paris tomorrow?", "Tell me tomorrow's forecast for Paris.")
    assert of(embedding, pair) == pytest.approx(0.7900, abs=2e-4)
    assert of(embedding, (pair[0], "Book a table for four at Luigi's at 7 pm.")) == pytest.approx(0.2433, abs=2e-4)


@pytest.mark.parametrize("text", ["", "x", "word " * 2000, "\x00\ud7ff🦀 ünï"], ids=["empty", "short", "long", "odd"])
def test_every_text_has_a_vector(embedding: Embedding, text: str) -> None:
    vector = embedding.vector(text)
    assert vector.shape == (384,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(vector, embedding.vector(text))


def test_processors_agree(embedding: Embedding) -> None:
    """Kernels add in different orders, which moves a similarity by 1e-15 in 64 bits, and by 1e-7 in 32 bits."""
    a, b = (embedding.vector(text) for text in PARAPHRASES[0])
    mixed = np.random.default_rng(0).permutation(len(a))
    assert abs(float(np.dot(a, b)) - float(np.dot(a[mixed], b[mixed]))) < 1e-12
    assert abs(np.linalg.norm(a) - 1) < 1e-12


def test_the_version_names_the_weights(embedding: Embedding) -> None:
    assert embedding.version.startswith("all-MiniLM-L6-v2 sha256:53aa51172d14")


def test_a_cached_embedding_computes_a_text_once() -> None:
    class Counting:
        version = "counting"
        texts: ClassVar[list[str]] = []

        def vector(self, text: str) -> Vector:
            self.texts.append(text)
            return np.array([float(len(text))])

    cached = CachedEmbedding(Counting())
    assert [float(cached.vector(text)[0]) for text in ("a", "bb", "a")] == [1.0, 2.0, 1.0]
    assert Counting.texts == ["a", "bb"] and cached.version == "counting"
