"""Values as Kubeflow's programs have them."""

import json
import random

import pytest

from pipeline.kubeflow.replay import values

# By Go 1.26: strconv.FormatFloat(v, 'f', -1, 64), and fmt.Sprintf("%g", v), %d for whole numbers.
OF_GO = [
    (0.1, "0.1", "0.1"),
    (1.5, "1.5", "1.5"),
    (-2.25, "-2.25", "-2.25"),
    (1e-5, "0.00001", "1e-05"),
    (1.25e-7, "0.000000125", "1.25e-07"),
    (123456.5, "123456.5", "123456.5"),
    (1234567.5, "1234567.5", "1.2345675e+06"),
    (-9.875e-5, "-0.00009875", "-9.875e-05"),
    (0.0001, "0.0001", "0.0001"),
    (12345678.125, "12345678.125", "1.2345678125e+07"),
    (0.30000000000000004, "0.30000000000000004", "0.30000000000000004"),
    (3.0, "3", "3"),
    (-4, "-4", "-4"),
    (1e15, "1000000000000000", "1000000000000000"),
    (True, "true", "true"),
    (None, "", ""),
    ("a 'b'\n", "a 'b'\n", "a 'b'\n"),
    (
        {"b": [1.0, "<&>é\u2028", None, True], "a": {"x": 0.5}},
        '{"a":{"x":0.5},"b":[1,"\\u003c\\u0026\\u003eé\\u2028",null,true]}',
        '{"a":{"x":0.5},"b":[1,"\\u003c\\u0026\\u003eé\\u2028",null,true]}',
    ),
]


@pytest.mark.parametrize(("value", "launchers", "drivers"), OF_GO, ids=lambda each: repr(each)[:20])
def test_texts_are_those_of_go(value, launchers, drivers):
    assert values.text(value) == launchers
    assert values.drivers_text(value) == drivers


def anything(chance: random.Random, depth: int = 3):
    kinds = [
        lambda: chance.choice([True, False, None]),
        lambda: chance.uniform(-1, 1) * 10 ** chance.randint(-9, 20),
        lambda: float(chance.randint(-(10**9), 10**9)),
        lambda: "".join(chance.choices('aé<>&"\\\n{$} \u2028', k=chance.randint(0, 8))),
        lambda: [anything(chance, depth - 1) for _ in range(chance.randint(0, 3))],
        lambda: {f"k{i}": anything(chance, depth - 1) for i in range(chance.randint(0, 3))},
    ]
    return chance.choice(kinds[: 6 if depth else 4])()


def test_what_is_written_is_read_as_the_same_value():
    chance = random.Random(0)
    kinds = {bool: "BOOLEAN", float: "NUMBER_DOUBLE", list: "LIST", dict: "STRUCT", str: "STRING"}
    seen = set()
    for _ in range(500):
        value = anything(chance)
        if value is None:
            continue
        kind = kinds[type(value)]
        seen.add(kind)
        assert values.read(values.text(value), kind) == value
        assert values.given(value, kind) == value
        assert values.given(value, "STRING") == values.text(value)
        # Another type is refused; all numbers are of both of theirs.
        for other in {*kinds.values(), "NUMBER_INTEGER"} - {kind, "STRING"}:
            if not (kind.startswith("NUMBER") and other.startswith("NUMBER")):
                with pytest.raises(ValueError, match=other):
                    values.given(value, other)
    assert seen == set(kinds.values())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, "NUMBER_INTEGER") for text in ("", "1.0", "1_0", "0x1", "１", "a", "1 2")),
        *((text, "NUMBER_DOUBLE") for text in ("", "nan", "inf", "-Infinity", "1_0", "1,5")),
        *((text, "BOOLEAN") for text in ("", "yes", "TrUe", "2")),
        *((text, "LIST") for text in ("", "{}", "1", "[")),
        *((text, "STRUCT") for text in ("", "[]", "null", "{'a': 1}")),
        ("x", "TASK_CONFIG"),
    ],
)
def test_what_is_no_value_of_the_type_is_refused(text, kind):
    with pytest.raises(ValueError, match=r".+"):
        values.read(text, kind)


def test_spaces_around_numbers_and_truths_do_not_count():
    assert values.read(" +7\n", "NUMBER_INTEGER") == 7
    assert values.read("\t1e-3 ", "NUMBER_DOUBLE") == 0.001
    assert values.read("T\n", "BOOLEAN") is True
    assert values.read(" 7\n", "STRING") == " 7\n"


def test_whole_numbers_have_no_point_wherever_they_are():
    chance = random.Random(1)
    for _ in range(300):
        value = anything(chance)
        plain = values.plain(value)
        assert plain == value
        assert all("." not in word or not float(word).is_integer() for word in numbers(plain))


def numbers(value) -> list[str]:
    if isinstance(value, list | dict):
        return [
            w
            for each in (value.values() if isinstance(value, dict) else value)
            for w in numbers(each)
        ]
    return [json.dumps(value)] if isinstance(value, float) else []


def test_ml_metadata_keeps_numbers_and_texts_and_wraps_the_rest():
    assert values.kept(True) == 1 and values.kept(2.0) == 2 and values.kept("a") == "a"
    assert values.kept([1.0, True]) == {"list": [1, True]}
    assert values.kept({"a": [2.0]}) == {"struct": {"a": [2]}}
    with pytest.raises(ValueError, match="null"):
        values.kept(None)
