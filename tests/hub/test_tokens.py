from __future__ import annotations

import re

from hardpoint.hub.tokens import API_PREFIX, hash_token, is_well_formed, new_token


def test_a_token_needs_no_quoting_and_no_two_are_alike():
    tokens = {new_token() for _ in range(100)} | {new_token(API_PREFIX) for _ in range(100)}
    assert len(tokens) == 200
    assert all(re.fullmatch(r"hpa?_[A-Za-z0-9]{49}", token) for token in tokens)


def test_a_mistyped_token_is_told_from_a_revoked_one():
    token = new_token()
    assert is_well_formed(token)
    for place in range(len(token)):
        other = "x" if token[place] != "x" else "y"
        assert not is_well_formed(token[:place] + other + token[place + 1 :])
    for wrong in ("", "hp_", token[:-1], token + "0", "é" * 50):
        assert not is_well_formed(wrong)


def test_only_the_hash_is_kept_and_any_text_has_one():
    token = new_token()
    assert re.fullmatch(r"[0-9a-f]{64}", hash_token(token))
    assert hash_token(token) == hash_token(token) != hash_token(token + "x")
    assert hash_token("\ud800")  # what a request path may decode to
