"""Charts: where points lie, what is said to those who do not see them, and words that cannot do harm."""

import re

from ui.charts import Line, line_chart, thinned


def whole(value: float) -> str:
    return f"{value:g}"


def test_points_lie_where_they_belong() -> None:
    chart = line_chart([Line("loss", [(0, 3), (1, 2), (2, 1)])], label="Loss", y_words=whole, x_ends=("start", "end"))
    assert chart is not None
    # 600 wide; 6 units above and below: the highest at 6, the middle at 80, the lowest at 154
    assert 'd="M0.0 6.0 L300.0 80.0 L600.0 154.0"' in chart
    assert re.findall(r"<span>([\d.]+)</span>", chart) == ["3", "2.5", "2", "1.5", "1"]
    assert 'aria-label="Loss: loss ends at 1"' in chart


def test_one_value_and_no_value() -> None:
    alone = line_chart([Line("a", [(5, 5)])], label="x", y_words=whole, x_ends=("", ""))
    assert alone is not None
    assert 'd="M300.0 80.0"' in alone  # in the middle
    assert line_chart([Line("a", [])], label="x", y_words=whole, x_ends=("", "")) is None


def test_names_and_what_is_told_are_escaped() -> None:
    lines = [Line("<b>", [(0, 0)], ["<script>"]), Line("b", [(1, 1)])]
    chart = line_chart(lines, label='"', y_words=whole, x_ends=("<i>", ""))
    assert chart is not None
    for bad in ("<b>", "<script>", "<i>"):
        assert bad not in chart
    assert "<title>&lt;script&gt;</title>" in chart


def test_many_points_become_means() -> None:
    assert thinned([(0, 0), (1, 2)], 2) == [(0, 0), (1, 2)]
    assert thinned([(0, 0), (1, 2), (2, 4), (3, 6)], 2) == [(0.5, 1), (3, 6)]
    assert len(thinned([(n, n) for n in range(10_001)])) <= 240
