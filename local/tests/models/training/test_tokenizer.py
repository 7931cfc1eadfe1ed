"""Tokenizers: names, spaces and the note on the language."""

from __future__ import annotations

from typing import Any

from bitagent_local.models.training.lessons import LANGUAGE_NOTE


def test_names_are_written_alike_in_functions_and_answers(reader_tokenizer: Any) -> None:
    def ids(text: str) -> list[int]:
        return list(reader_tokenizer(text, add_special_tokens=False)["input_ids"])

    for name in ("book_flight", "bcd3fgh4", "city"):
        bare = ids("\n" + name)
        for text in (f"a flight{LANGUAGE_NOTE}\n{name}(#", f"leaves\n{name},#", f'leaves\n{name}="'):
            found = ids(text)
            assert any(found[start : start + len(bare)] == bare for start in range(len(found))), text


def test_the_note_on_the_language_is_one_token(reader_tokenizer: Any) -> None:
    noted = reader_tokenizer(f"Book a flight{LANGUAGE_NOTE}", add_special_tokens=False)["input_ids"]
    assert noted[:-1] == reader_tokenizer("Book a flight", add_special_tokens=False)["input_ids"]


def test_the_rewriter_keeps_spaces_and_ignores_the_system_message(training: Any) -> None:
    tokenizer = training.tokenizer.rewriter_tokenizer()
    messages = [{"role": "system", "content": "Reword."}, {"role": "user", "content": "Book a flight to Rome."}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == f"<|im_start|>user\nBook a flight to Rome.{training.qwen2.END}\n<|im_start|>assistant\n"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
