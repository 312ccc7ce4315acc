"""What an uploaded directory file says in forms of its own: days, and JSON that is none."""
from __future__ import annotations

import pytest

from services.gateway.pages import directory_dates, directory_file


@pytest.mark.parametrize(
    "written",
    [
        "2024-03-31", "2024-3-31", "20240331", "2024/03/31", "2024-03-31T09:30:00Z", "2024-03-31 00:00:00", "2024-03-31T09:30:00.000+02:00",
        "31.03.2024", "31.3.2024", "31. 3. 2024", "31/03/2024", "3/31/2024", "31-03-2024", "31 March 2024", "31-Mar-2024", "31. März 2024",
        "31st March 2024", "March 31, 2024", "Mar. 31 2024", " 2024-03-31 ",
    ],
)
def test_one_day_in_many_forms(written: str) -> None:
    assert directory_dates.day(written) == "2024-03-31"


def test_a_number_that_comes_twice_or_nothing_is_clear() -> None:
    written = ("4/4/2024", "  ", "29.2.2024")
    assert [directory_dates.day(each) for each in written] == ["2024-04-04", "", "2024-02-29"]


@pytest.mark.parametrize(
    "written",
    [
        "soon", "45382", "31.02.2024", "2024-13-01", "13/13/2024", "31.3.24", "3/31/24", "31 Marc 2024", "2024331", "2024-03/31",
        "0000-01-01",
    ],
)
def test_what_is_no_day_says_how_to_write_one(written: str) -> None:
    with pytest.raises(ValueError, match="is no day: write it as in 2024-03-31"):
        directory_dates.day(written)


def test_a_row_whose_day_is_not_clear_is_told_with_its_column_and_the_others_go_in() -> None:
    rows = "Name,E-mail,Hire date\nAda,ada@x.example,03/04/2024\nBo,bo@x.example,31/03/2024\nCy,cy@x.example,soon\nDee,dee@x.example,\n"
    found = directory_file.read(rows.encode(), "csv")
    assert [(each.profile.name, each.profile.start_date) for each in found.records] == [("Bo", "2024-03-31"), ("Dee", "")]
    assert found.refused == [
        (2, "Hire date: '03/04/2024' may be 2024-03-04 or 2024-04-03: write one of the two."),
        (4, "Hire date: 'soon' is no day: write it as in 2024-03-31, 31.03.2024 or 31 March 2024."),
    ]


def test_json_that_is_none_and_keys_that_stand_twice_are_told() -> None:
    lines = '{"name": "Ada", "email": "ada@x.example"}\n{"name": "Bo", "n": NaN}\n{"name": "Cy", "name": "Dee"}\n'
    found = directory_file.read(lines.encode(), "jsonl")
    assert [each.profile.name for each in found.records] == ["Ada"]
    assert found.refused == [
        (2, "This is no JSON (NaN is no number there)."), (3, "This has the key 'name' twice: keep one of the two."),
    ]
