from .naive import A


def test_a():
    assert A == 1
